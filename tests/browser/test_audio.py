"""Sound between the widget and numpy: the microphone is read, and what is published is heard (test process)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.lab import NotebookPage
from tests.browser.lobby import run_first
from tests.support import wait_for

OpenNotebook = Callable[..., NotebookPage]

JOIN = """
import numpy as np
import forge_rtc_nb as rtc
room = rtc.join({room!r})
def beeps(sound):
    strongest = np.argmax(np.abs(np.fft.rfft(sound[:, 0]))) * room.microphone.rate / len(sound)
    loud = np.abs(sound[:, 0]).reshape(-1, 480).max(axis=1) > 0.5
    begins = np.flatnonzero(loud[1:] & ~loud[:-1]) * 0.01
    return list(sound.shape), float(strongest), [float(gap) for gap in np.diff(begins) if gap > 0.1]
room
"""
"""Chromium's fake microphone beeps twice a second, at about 400 Hz."""


def test_the_microphones_beep_is_heard_in_numpy(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> None:
    notebook = open_notebook(context, [JOIN.format(room=room_id)])
    notebook.run_all()
    notebook.room_joined()
    button = notebook.room.get_by_role("button", name="Microphone", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    notebook.evaluate("list(room.microphone.read(1, timeout=20).shape)")  # the first beep wakes the automatic gain
    shape, frequency, gaps = notebook.evaluate("beeps(room.microphone.read(3))")
    assert shape == [144000, 1]
    assert 350 < frequency < 450
    assert len(gaps) >= 4
    assert all(abs(gap - 0.5) < 0.05 for gap in gaps)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    wait_for(lambda: notebook.evaluate("[s.kind for s in room.streams]") == [], 10, "it is off")


NOTE_PLAYERS = """
window.players = [];
window.Audio = class extends window.Audio {
  constructor(...options) { super(...options); window.players.push(this); }
};
"""
"""What the page plays is on no document; this keeps it where a test finds it."""

HEARD = """async () => {
  const playing = window.players.filter(({ srcObject, paused }) => srcObject?.active && !paused);
  if (playing.length !== 1) return null;
  const context = (window.listening ??= new AudioContext());
  await context.resume();
  const source = context.createMediaStreamSource(playing[0].srcObject);
  const splitter = context.createChannelSplitter(2);
  source.connect(splitter);
  const analysers = [0, 1].map((channel) => {
    const analyser = new AnalyserNode(context, { fftSize: 8192 });
    splitter.connect(analyser, channel);
    return analyser;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const strongest = analysers.map((analyser) => {
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const bin = levels.indexOf(Math.max(...levels));
    return levels[bin] > -40 ? (bin * context.sampleRate) / analyser.fftSize : 0;
  });
  source.disconnect();
  return strongest;
}"""
"""The strongest frequency of each channel, by an AnalyserNode; 0 of silence, null where not just one thing is played."""


def hears(page: Page, left: float, right: float) -> None:
    found: list[Any] = []

    def right_ones() -> bool:
        found[:] = [page.evaluate(HEARD)]
        return bool(found[0]) and abs(found[0][0] - left) < 15 and abs(found[0][1] - right) < 15

    try:
        wait_for(right_ones, 30)
    except AssertionError:
        raise AssertionError(f"the page plays {found[0]}, not {left} and {right} Hz") from None


def test_a_tone_from_numpy_is_heard_in_two_browsers_in_stereo(
    context: BrowserContext, chromium: Browser, open_notebook: OpenNotebook, room_id: str
) -> None:
    run_first(context, NOTE_PLAYERS)
    notebook = open_notebook(context, [JOIN.format(room=room_id)])
    notebook.run_all()
    notebook.room_joined()
    notebook.execute(
        "at = np.arange(48000 * 120) / 48000\n"
        "both = 0.5 * np.sin(2 * np.pi * np.outer(at, [440, 1000]))\n"
        "pub = room.publish(both, name='tone', rate=48000)"
    )
    hears(notebook.page, 440, 1000)
    with chromium.new_context() as second:
        run_first(second, NOTE_PLAYERS)
        other = open_notebook(second, [JOIN.format(room=room_id)])
        other.run_all()
        other.room_joined()
        listen = other.room.get_by_role("button", name="Hear")
        expect(listen).to_have_attribute("aria-pressed", "false")  # the same person's first tab plays it: no echo
        assert other.page.evaluate(HEARD) is None
        listen.click()
        hears(other.page, 440, 1000)
        stats = notebook.evaluate("[pub.viewers, pub.stats().packets, pub.stats().played]")
        assert stats[0] == 2
        assert stats[1] <= stats[2] * 50 + 10  # 20 ms each, and encoded once
    listen = notebook.room.get_by_role("button", name="Hear")
    expect(listen).to_have_attribute("aria-pressed", "true")
    listen.focus()
    notebook.page.keyboard.press("Enter")
    expect(listen).to_have_attribute("aria-pressed", "false")
    wait_for(lambda: notebook.page.evaluate(HEARD) is None, 10, "it is not played any more")
    wait_for(lambda: notebook.evaluate("pub.viewers") == 0, 20, "nobody listens")
    listen.click()
    hears(notebook.page, 440, 1000)
    notebook.execute("pub.stop()")
    expect(listen).to_be_hidden()
    assert notebook.room.locator(".forge-rtc-tile").count() == 1, "sound has no tile"


def test_the_microphone_goes_through_numpy_and_back(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> None:
    run_first(context, NOTE_PLAYERS)
    notebook = open_notebook(context, [JOIN.format(room=room_id)])
    notebook.run_all()
    notebook.room_joined()
    notebook.room.get_by_role("button", name="Microphone", exact=True).click()
    notebook.execute(
        "live = room.microphone.map(lambda b: 0.3 * np.sin(2 * np.pi * 600 * np.arange(len(b)) / 48000))\n"
        "pub = room.publish(live, name='changed')"
    )
    hears(notebook.page, 600, 600)
    notebook.execute("live.fn = lambda b: 0.3 * np.sin(2 * np.pi * 1200 * np.arange(len(b)) / 48000)")
    hears(notebook.page, 1200, 1200)
