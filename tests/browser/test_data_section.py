"""The room's data in the widget: what kernels send and write is listed with a preview, in a real JupyterLab (test process)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.browser.lab import NotebookPage
from tests.browser.lobby import run_first
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

OPEN = """
import numpy as np
y, x = np.mgrid[-1:1:600j, -1:1:800j]
field = np.cos(9 * x) * np.cos(5 * y)
picture = np.zeros((480, 640, 3), np.uint8)
picture[:, 320:, 0] = 255
wave = np.sin(np.linspace(0, 20, 5000))
for name in ("field", "picture", "wave", "unused"):
    room.channel(name)
"""
SEND = """
for channel in room.channels:
    if channel.name != "unused":
        channel.send(globals()[channel.name])
"""
WRITE = """
room.shared["matrix"] = np.eye(5)
room.shared["note"] = "grüße"
room.shared["raw"] = b"123"
room.shared["settings"] = {"rate": 0.1}
room.shared["<b>step</b>"] = np.int64(7)
"""


@pytest.fixture
def notebook(context: BrowserContext, open_notebook: Callable[..., NotebookPage], room_id: str) -> NotebookPage:
    run_first(
        context,
        "window.channels = []; const create = RTCPeerConnection.prototype.createDataChannel;"
        "RTCPeerConnection.prototype.createDataChannel = function (...a)"
        "{ const channel = create.apply(this, a); channels.push(channel); return channel; };",
    )
    opened = open_notebook(context, ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r}, name='mine')\nroom"])
    opened.run_all()
    opened.room_joined()
    return opened


def section(notebook: NotebookPage) -> Locator:
    return notebook.room.locator(".forge-rtc-data")


def toggle(notebook: NotebookPage) -> Locator:
    return section(notebook).locator("button[aria-expanded]")


def row(notebook: NotebookPage, name: str) -> Locator:
    return section(notebook).locator(f".forge-rtc-datum[data-name='{name}']")


def expect_row(notebook: NotebookPage, name: str, *words: str) -> None:
    for text in words:
        expect(row(notebook, name)).to_contain_text(text, timeout=20_000)


def colours(notebook: NotebookPage, name: str) -> list[list[int]]:
    """The colours of the picture in a row, each once; none where there is no picture."""
    found: list[list[int]] = row(notebook, name).evaluate(
        """row => {
          const canvas = row.querySelector("canvas");
          if (!canvas) return [];
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const all = new Map();
          for (let i = 0; i < data.length; i += 4) all.set(data.slice(i, i + 4).join(), [...data.slice(i, i + 4)]);
          return [...all.values()];
        }"""
    )
    return found


def seconds(age: Locator) -> int:
    words = age.inner_text()
    return 0 if words == "now" else int(words.removesuffix(" s"))


def flowing(notebook: NotebookPage) -> int:
    """Data channels by which kernels tell of their data."""
    count: int = notebook.page.evaluate("channels.filter(c => c.label === 'overview' && c.readyState === 'open').length")
    return count


def test_channels_are_listed_with_what_was_sent_last_and_a_preview(notebook: NotebookPage) -> None:
    expect(section(notebook)).to_be_hidden()
    notebook.execute(OPEN)
    expect(section(notebook)).to_contain_text("4 channels", timeout=20_000)
    assert flowing(notebook) == 0
    toggle(notebook).focus()
    notebook.page.keyboard.press("Enter")
    expect(toggle(notebook)).to_have_attribute("aria-expanded", "true")
    wait_for(lambda: flowing(notebook) == 1, 20, "the kernel is asked")
    expect_row(notebook, "unused", "no message yet")
    notebook.execute(SEND)
    expect_row(notebook, "field", "(600, 800) float64", "3.7 MiB", "mine")
    expect_row(notebook, "picture", "(480, 640, 3) uint8", "900 KiB", "mine")
    expect_row(notebook, "wave", "(5000,) float64", "39 KiB", "mine")
    expect_row(notebook, "unused", "no message yet")
    expect(row(notebook, "field").locator(".forge-rtc-datum-open")).to_have_attribute("title", "Open in mine")
    shades = wait_for(lambda: colours(notebook, "field"), 20, "a picture")
    assert len(shades) > 100
    assert all(red == green == blue for red, green, blue, _ in shades)
    halves = wait_for(lambda: colours(notebook, "picture"), 20, "a picture")
    assert sorted(halves) == [[0, 0, 0, 255], [255, 0, 0, 255]]
    line = row(notebook, "wave").locator(".forge-rtc-line path").get_attribute("d") or ""
    assert len(line.split("L")) > 100
    assert notebook.errors == []


def test_what_is_sent_while_it_is_closed_does_not_flow_and_is_there_when_it_opens(notebook: NotebookPage) -> None:
    notebook.execute(OPEN + SEND)
    expect(section(notebook)).to_contain_text("4 channels", timeout=20_000)
    toggle(notebook).click()
    expect_row(notebook, "field", "(600, 800) float64", "3.7 MiB")
    toggle(notebook).click()
    wait_for(lambda: flowing(notebook) == 0, what="nobody is asked")
    notebook.execute("field = field[:300].astype('float32')" + SEND)
    assert flowing(notebook) == 0
    toggle(notebook).click()
    expect_row(notebook, "field", "(300, 800) float32", "938 KiB")
    notebook.execute("for channel in room.channels: channel.close()")
    expect(section(notebook)).to_be_hidden(timeout=20_000)
    wait_for(lambda: flowing(notebook) == 0, what="nobody is asked")


def test_shared_values_are_listed_until_they_are_deleted(notebook: NotebookPage) -> None:
    notebook.execute("import numpy as np\n" + WRITE)
    expect(section(notebook)).to_contain_text("shared values", timeout=20_000)
    toggle(notebook).click()
    expect(section(notebook)).to_contain_text("5 shared values", timeout=20_000)
    expect_row(notebook, "matrix", "(5, 5) float64", "200 B", "mine")
    expect_row(notebook, "note", "text", "7 B")
    expect_row(notebook, "raw", "bytes", "3 B")
    expect_row(notebook, "settings", "JSON")
    expect_row(notebook, "<b>step</b>", "() int64", "8 B")
    assert sorted(colours(notebook, "matrix")) == [[0, 0, 0, 255], [255, 255, 255, 255]]
    assert section(notebook).locator("b").count() == 0
    age = row(notebook, "note").locator("time")
    expect(age).to_have_text(re.compile(r"^\d+ s$"), timeout=20_000)
    earlier = seconds(age)
    wait_for(lambda: seconds(age) >= earlier + 2, 20, "it grows older")
    notebook.execute("del room.shared['matrix']; room.shared['note'] = 'x'")
    row(notebook, "matrix").wait_for(state="detached", timeout=20_000)
    expect_row(notebook, "note", "1 B")
    assert seconds(age) < earlier + 2
    expect(section(notebook)).to_contain_text("4 shared values")


def test_what_another_kernel_wrote_is_its_own_and_stays_when_it_has_left(
    notebook: NotebookPage, jupyter: JupyterProcess, room_id: str
) -> None:
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        kernel.run(f"import numpy as np, forge_rtc_nb as rtc; room = rtc.join({room_id!r}, name='theirs')")
        kernel.run("room.channel('wave').send(np.arange(100.0)); room.shared['w'] = np.eye(3)")
        notebook.execute("room.channel('wave'); assert room.shared['w'].shape == (3, 3); room.shared['mine'] = 'x'")
        expect(section(notebook)).to_contain_text("1 channel, shared values", timeout=20_000)
        toggle(notebook).click()
        expect_row(notebook, "wave", "(100,) float64", "theirs")
        expect(row(notebook, "wave").locator(".forge-rtc-datum-open")).to_have_attribute("title", "Open in mine, theirs")
        expect_row(notebook, "w", "(3, 3) float64", "theirs")
        expect_row(notebook, "mine", "text", "mine")
        notebook.execute("import numpy as np; room.channel('wave').send(np.arange(7))")
        expect_row(notebook, "wave", "(7,) int64", "mine")
        expect(row(notebook, "wave").locator(".forge-rtc-line")).to_be_visible()
        notebook.execute("room.channel('wave').send(np.arange(9), to='theirs')")
        expect_row(notebook, "wave", "(9,) int64", "mine")
        expect(row(notebook, "wave").locator(".forge-rtc-line")).to_have_count(0)  # for their eyes only
        kernel.run("room.leave()")
    expect_row(notebook, "w", "(3, 3) float64", "left the room")
    assert colours(notebook, "w")
    expect(row(notebook, "wave").locator(".forge-rtc-datum-open")).to_have_attribute("title", "Open in mine")
