"""Channels between a notebook's kernel and pages that use the ES module: what arrives is what was sent (test process)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

import forge_rtc_nb as rtc
from tests.strategies import LAYOUTS, arrays
from tests.support import JupyterProcess, wait_for

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

JOIN = """async ([server, token, room, name]) => {
  window.rtc = await import(`${server}forge-rtc/static/forge_rtc.js`);
  window.room = await rtc.joinRoom(room, { server, token, name });
  window.errors = [];
}"""
OPEN = """async ([name, options]) => {
  window.channel = await room.channel(name, options);
  channel.addEventListener("error", ({ detail }) => errors.push(detail.message));
}"""
ECHO = """() => { (async () => {
  for await (const { value, sender } of channel) await channel.send(value, { to: [sender.id] });
})(); }"""
HASH = """async () => {
  const { value } = await channel.receive();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", value.bytes));
  return [value.dtype, value.shape, value.order, [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("")];
}"""
VALUES = """async () => {
  const buffer = Float64Array.of(9, 1.5, -2, 9).buffer;
  await channel.send(new Float64Array(buffer, 8, 2));              // a view with an offset
  await channel.send(new rtc.NdArray("<f2", [2], Uint8Array.of(0, 60, 0, 192)));
  await channel.send(BigInt64Array.of(-(2n ** 63n), 2n ** 62n));
  await channel.send(new rtc.NdArray(">c8", [1, 1], Uint8Array.of(63, 128, 0, 0, 192, 0, 0, 0)));
  await channel.send(new Uint8ClampedArray([1, 2]));
  await channel.send(new Uint8Array([1, 2]).buffer);
  await channel.send({ a: [1, null, "ä"] });
  await channel.send("text");
}"""

Pages = Callable[[str], Page]


@pytest.fixture(scope="module")
def room(jupyter: JupyterProcess) -> Iterator[rtc.Room]:
    with rtc.join("pages", server=jupyter.url, token=jupyter.token, name="kernel") as room:
        yield room


@pytest.fixture
def pages(room: rtc.Room, chromium: Browser, jupyter: JupyterProcess) -> Iterator[Pages]:
    """Opens pages of those names that are in the room; they are gone with the test."""
    contexts, names = [], set()

    def open_(name: str) -> Page:
        names.add(name)
        contexts.append(chromium.new_context())
        page: Page = contexts[-1].new_page()
        page.goto(f"{jupyter.url}forge-rtc/no-such-page?token={jupyter.token}")  # sets the cookie, and loads nothing
        page.evaluate(JOIN, [jupyter.url, jupyter.token, room.id, name])
        room.wait_for(name)
        return page

    yield open_
    for context in contexts:
        context.close()
    wait_for(lambda: names.isdisjoint(one.name for one in room.participants), what="the pages have left")


@pytest.fixture(scope="module")
def echo(room: rtc.Room, chromium: Browser, jupyter: JupyterProcess) -> Iterator[rtc.Channel]:
    """A channel on which a page sends back what it gets."""
    page = chromium.new_page()
    page.goto(f"{jupyter.url}forge-rtc/no-such-page?token={jupyter.token}")  # sets the cookie, and loads nothing
    page.evaluate(JOIN, [jupyter.url, jupyter.token, room.id, "echo"])
    channel = meet(room, page, "echo")
    page.evaluate(ECHO)
    yield channel
    channel.close()
    page.close()
    wait_for(lambda: len(room.participants) == 1, what="the page has left")


def meet(room: rtc.Room, page: Page, name: str, **options: Any) -> rtc.Channel:
    """A channel that the kernel and a page have open, and know of each other."""
    channel = next((one for one in room.channels if one.name == name), None) or room.channel(name, **options)
    before = len(channel.participants)
    page.evaluate(OPEN, [name, options])
    wait_for(lambda: len(channel.participants) == before + 1, what="the kernel knows that the page has the channel")
    page.wait_for_function(f"room.participants.slice(1).some(({{ channels }}) => channels.includes({name!r}))")
    return channel


@settings(max_examples=int(100 * FUZZ), deadline=None, suppress_health_check=SLOW)
@given(array=arrays(), layout=st.sampled_from(sorted(LAYOUTS)))
def test_arrays_come_back_from_a_page_as_they_were(echo: rtc.Channel, array: np.ndarray[Any, Any], layout: str) -> None:
    sent = LAYOUTS[layout](array)
    echo.send(sent)
    back = echo.recv()
    assert (back.dtype.str, back.shape) == (sent.dtype.str, sent.shape)
    assert back.tobytes() == sent.tobytes()


@settings(max_examples=int(50 * FUZZ), deadline=None, suppress_health_check=SLOW)
@given(st.binary() | st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=8))
def test_bytes_text_and_json_come_back_from_a_page_as_they_were(echo: rtc.Channel, value: object) -> None:
    echo.send(value)
    assert echo.recv() == value


def test_large_arrays_reach_a_page_and_come_back(room: rtc.Room, pages: Pages) -> None:
    page = pages("large")
    channel = meet(room, page, "large")
    array = np.asfortranarray(np.random.default_rng(1).random((1500, 1001)))
    channel.send(array)
    digest = hashlib.sha256(array.tobytes("F")).hexdigest()
    assert page.evaluate(HASH) == ["<f8", [1500, 1001], "F", digest]
    page.evaluate("() => { window.sent = channel.send(new Uint8Array(7_000_001).fill(7)); }")
    back = channel.recv(30)
    assert back.shape == (7_000_001,)
    assert (back == 7).all()
    page.evaluate("() => sent")


def test_what_a_page_sends_is_what_numpy_makes_of_it(room: rtc.Room, pages: Pages) -> None:
    page = pages("sender")
    channel = meet(room, page, "values")
    page.evaluate(VALUES)
    expected: list[Any] = [
        np.array([1.5, -2.0]),
        np.array([1.0, -2.0], np.float16),
        np.array([-(2**63), 2**62]),
        np.array([[1 - 2j]], ">c8"),
        np.array([1, 2], np.uint8),
    ]
    for array in expected:
        message = channel.receive()
        assert message.sender.name == "sender"
        assert (message.value.dtype.str, message.value.shape) == (array.dtype.str, array.shape)
        assert (message.value == array).all()
    assert [channel.recv() for _ in range(3)] == [b"\x01\x02", {"a": [1, None, "ä"]}, "text"]


def test_pages_get_what_pages_send(room: rtc.Room, pages: Pages) -> None:
    first, second = pages("first"), pages("second")
    channel = meet(room, first, "all")
    meet(room, second, "all")
    first.wait_for_function("room.participants.filter(({ channels }) => channels.includes('all')).length === 3")
    first.evaluate("() => channel.send('to all')")
    assert channel.recv() == "to all"
    assert second.evaluate("async () => (await channel.receive()).value") == "to all"


def test_a_page_that_does_not_read_is_named_and_slows_nobody_else(room: rtc.Room, pages: Pages) -> None:
    slow, quick = pages("slow"), pages("quick")
    channel = meet(room, slow, "queue", maxsize=2)
    meet(room, quick, "queue", maxsize=2)
    quick.evaluate(ECHO)
    for number in range(2):
        channel.send(number)
        assert channel.recv() == number
    with pytest.raises(rtc.SendTimeout, match="'slow'"):
        channel.send(2, timeout=1)
    assert channel.recv() == 2
    channel.send(3, to="quick")
    assert channel.recv() == 3
    assert slow.evaluate("async () => [await channel.recv(), await channel.recv()]") == [0, 1]
    channel.send(4, to="slow")
    assert slow.evaluate("() => channel.recv()") == 4


def test_a_page_that_leaves_holds_no_send_up(room: rtc.Room, pages: Pages) -> None:
    page = pages("leaver")
    channel = meet(room, page, "leaving", maxsize=1)
    channel.send(0)
    page.evaluate("() => void setTimeout(() => room.leave(), 300)")
    channel.send(1, timeout=20)  # returns because the page has left, long before it would time out
    assert channel.participants == []
