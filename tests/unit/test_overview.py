"""What a kernel tells tabs of its data: to those who look, what has changed, not too often (test process)."""

from __future__ import annotations

import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from forge_rtc_nb import arrays
from forge_rtc_nb.control import INLINE
from forge_rtc_nb.engine import overview
from forge_rtc_nb.engine.data import preview
from forge_rtc_nb.engine.data.outlet import Body
from tests.unit.overviews import Clock, Kernel

LARGE = np.arange(2 * INLINE, dtype=np.uint8)
SMALL = np.arange(8, dtype=np.float32)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(overview, "time", SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now))
    monkeypatch.setattr(overview, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    return clock


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the bodies of which previews were made."""
    sizes: list[int] = []

    def counted(header: arrays.ValueHeader, body: memoryview) -> preview.Preview | None:
        sizes.append(len(body))
        return preview.preview(header, body)

    monkeypatch.setattr(overview, "preview", counted)
    return sizes


@pytest.fixture
def kernel(clock: Clock) -> Kernel:
    return Kernel()


# ---- what is told ----


def test_a_tab_is_told_what_there_is_when_it_comes(kernel: Kernel, clock: Clock) -> None:
    kernel.send("spectra", SMALL)
    kernel.write("w", "text")
    tab = kernel.tab()
    clock.advance(0)
    assert tab.told == [
        (
            {
                "kind": "item",
                "of": "channel",
                "name": "spectra",
                "time": 1000.0,
                "writer": "me",
                "value": {"kind": "array", "dtype": "<f4", "shape": [8], "time": 1.0},
                "size": 32,
                "preview": {"dtype": "<f4", "shape": [8]},
            },
            SMALL.tobytes(),
        ),
        (
            {
                "kind": "item",
                "of": "shared",
                "name": "w",
                "time": 5.0,
                "writer": "me",
                "value": {"kind": "str", "time": 1.0},
                "size": 4,
            },
            b"",
        ),
    ]


def test_a_large_array_has_a_small_preview(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    picture = np.arange(500 * 1000 * 3, dtype=np.uint8).reshape(500, 1000, 3)
    kernel.send("camera", picture)
    kernel.write("picture", picture)
    clock.advance(1)
    told = tab.told
    assert len(told) == 2
    for header, body in told:
        height, width, planes = header["preview"]["shape"]
        assert max(height, width) <= 128
        assert planes == 3
        assert len(body) == height * width * planes
        assert header["size"] == picture.nbytes


def test_a_line_of_any_nan_is_told(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    signaling = np.frombuffer(np.uint64(0x7FF0000000000001).tobytes(), "<f8")
    kernel.send("a", np.concatenate([signaling, [1.0]]))
    clock.advance(1)
    ((_, body),) = tab.told
    assert np.array_equal(np.frombuffer(body, "<f4"), [np.nan, 1], equal_nan=True)


def test_what_is_new_replaces_what_waits(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    for number in range(50):
        kernel.send("a", np.full(4, number, np.float32))
    clock.advance(1)
    ((_, body),) = tab.told
    assert np.frombuffer(body, "<f4").tolist() == [49] * 4


def test_a_tab_hears_of_a_thing_at_most_twice_a_second(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    for number in range(1000):
        kernel.send("a", SMALL)
        kernel.write("k", number)
        clock.advance(0.01)
        tab.pump()  # as something else on the link may ask for it
    names = tab.names
    assert 19 <= names.count(("item", "a")) <= 21
    assert 19 <= names.count(("item", "k")) <= 21


def test_nothing_is_said_twice(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.send("a", SMALL)
    clock.advance(1)
    assert tab.names == [("item", "a")]
    clock.advance(60)
    assert tab.names == []
    assert clock.is_idle


def test_a_message_to_some_only_is_told_without_a_preview(kernel: Kernel, clock: Clock, made: list[int]) -> None:
    tab = kernel.tab()
    kernel.send("a", SMALL, show=False)
    clock.advance(1)
    ((header, body),) = tab.told
    assert header["size"] == 32
    assert "preview" not in header
    assert body == b""
    assert made == []


# ---- what is gone ----


def test_a_channel_that_is_closed_is_gone(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.send("a", SMALL)
    clock.advance(1)
    kernel.overview.closed("a")
    kernel.overview.closed("never used")
    clock.advance(1)
    assert tab.names == [("item", "a"), ("gone", "a")]


def test_a_key_that_is_deleted_is_gone(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.write("k", SMALL)
    clock.advance(1)
    kernel.overview.deleted("k")
    kernel.overview.deleted("never written")
    clock.advance(1)
    assert tab.names == [("item", "k"), ("gone", "k")]


def test_what_comes_and_goes_between_two_looks_is_gone(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.write("k", SMALL)
    kernel.overview.deleted("k")
    clock.advance(1)
    assert tab.names == [("gone", "k")]
    late = kernel.tab("late")
    clock.advance(1)
    assert late.names == []


# ---- whose it is to tell ----


def test_what_others_write_is_theirs_to_tell(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.write("theirs", SMALL, writer="other")
    kernel.write("k", SMALL)
    clock.advance(1)
    assert tab.names == [("item", "k")]
    kernel.write("k", 3, writer="other")
    clock.advance(1)
    assert tab.names == [("gone", "k")]


def test_what_somebody_wrote_who_left_is_told_until_another_writes_it(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.write("k", SMALL, writer="other")
    clock.advance(1)
    assert tab.names == []
    kernel.present.clear()
    kernel.overview.refresh()
    clock.advance(1)
    ((header, body),) = tab.told
    assert (header["name"], header["writer"], body) == ("k", "other", SMALL.tobytes())
    kernel.overview.refresh()
    clock.advance(1)
    assert tab.names == []
    kernel.present.add("third")
    kernel.write("k", 3, writer="third")
    clock.advance(1)
    assert tab.names == [("gone", "k")]


# ---- who watches ----


def test_nothing_is_made_while_nobody_watches(kernel: Kernel, clock: Clock, made: list[int]) -> None:
    for _ in range(100):
        kernel.send("large", LARGE)
        kernel.send("small", SMALL)
        kernel.write("k", LARGE)
        clock.advance(0.1)
    assert made == []
    assert clock.is_idle


def test_a_small_message_is_shown_to_who_comes_later_a_large_one_is_not_kept(
    kernel: Kernel, clock: Clock, made: list[int]
) -> None:
    kernel.send("large", LARGE)
    kernel.send("small", SMALL)
    tab = kernel.tab()
    clock.advance(1)
    assert {header["name"]: "preview" in header for header, _ in tab.told} == {"large": False, "small": True}
    kernel.send("large", LARGE)
    clock.advance(1)
    assert ["preview" in header for header, _ in tab.told] == [True]


def test_a_preview_of_a_message_is_made_once_for_all_tabs(kernel: Kernel, clock: Clock, made: list[int]) -> None:
    tabs = [kernel.tab(name) for name in ("one", "two", "three")]
    kernel.send("a", LARGE)
    clock.advance(1)
    assert [tab.names for tab in tabs] == [[("item", "a")]] * 3
    assert made == [LARGE.nbytes]


def test_a_body_is_not_kept_for_a_tab_that_has_gone(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    clock.advance(1)
    packed = arrays.pack(LARGE, 1.0)
    body = packed.to_bytes()

    def view() -> Body:
        return body

    kept = weakref.ref(view)
    kernel.overview.sent("a", packed.header, packed.size, view)
    del view
    assert kept() is not None
    kernel.close(tab)
    assert kept() is None
    clock.advance(1)
    assert clock.is_idle


def test_a_tab_that_has_gone_is_told_nothing(kernel: Kernel, clock: Clock, made: list[int]) -> None:
    tab = kernel.tab()
    clock.advance(1)
    kernel.send("a", LARGE)
    kernel.close(tab)
    clock.advance(1)
    kernel.send("a", LARGE)
    clock.advance(1)
    assert tab.names == []
    assert made == []


def test_a_tab_that_opens_it_again_is_told_all_again(kernel: Kernel, clock: Clock) -> None:
    tab = kernel.tab()
    kernel.send("a", SMALL)
    kernel.write("k", SMALL)
    kernel.write("deleted", SMALL)
    clock.advance(1)
    kernel.close(tab)
    kernel.overview.deleted("deleted")
    tab.open_again()
    clock.advance(1)
    assert tab.names == [("item", "a"), ("item", "k")]


def test_the_end_of_an_older_data_channel_is_not_that_of_the_newer_one(kernel: Kernel, clock: Clock) -> None:
    old = kernel.tab()
    new = kernel.tab()
    kernel.close(old)
    kernel.send("a", SMALL)
    clock.advance(1)
    assert new.names == [("item", "a")]


# ---- slow tabs, many things ----


def test_a_slow_tab_is_told_the_newest_and_slows_no_other(kernel: Kernel, clock: Clock) -> None:
    slow, quick = kernel.tab("slow"), kernel.tab("quick")
    slow.answers = False
    for number in range(100):
        kernel.send("a", np.full(4, number, np.float32))
        clock.advance(0.5)
    assert quick.names.count(("item", "a")) == 100
    assert slow.names == [("item", "a")]
    slow.answers = True
    slow.open_again()
    clock.advance(1)
    ((_, body),) = slow.told
    assert np.frombuffer(body, "<f4").tolist() == [99] * 4


def test_little_is_under_way_at_a_time_however_much_there_is(kernel: Kernel, clock: Clock, made: list[int]) -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    for number in range(4096):
        kernel.write(f"key {number}", picture)
    tab = kernel.tab()
    tab.answers = False
    clock.advance(1)
    assert 0 < len(made) <= 2
    tab.answers = True
    tab.open_again()
    clock.advance(1)
    assert tab.names == [("item", f"key {number}") for number in range(4096)]
