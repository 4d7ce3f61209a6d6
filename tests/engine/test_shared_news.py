"""What a kernel is told of the shared mapping: a few changes at a time, of each key the newest (test process)."""

from __future__ import annotations

from typing import Any

import pytest

from forge_rtc_nb.control import SharedChanged
from forge_rtc_nb.engine.data.replica import Change
from forge_rtc_nb.engine.shared_news import WINDOW, SharedNews


class Bodies:
    """No memory is needed here."""

    def lend(self, body: bytes) -> bytes:
        return body


class Kernel:
    """What a kernel got that takes nothing over until it is told to."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        bodies: Any = Bodies()
        self.news = SharedNews("room", bodies, self.got.append)

    def put(self, key: str, body: bytes = b"1") -> None:
        self.news.put(Change(key, b"{}", len(body), body, "ann", 1.0))

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.got if isinstance(message, SharedChanged)]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def fill(kernel: Kernel) -> None:
    """The kernel takes nothing over, and there is no room for more."""
    for number in range(WINDOW):
        kernel.put(f"first-{number}")
    assert len(kernel.got) == WINDOW


def test_a_busy_kernel_gets_the_newest_value_of_each_key_once(kernel: Kernel) -> None:
    fill(kernel)
    for number in range(10_000):
        kernel.put("often", b"%d" % number)
        kernel.put("seldom")
    assert len(kernel.got) == WINDOW
    kernel.news.seen()
    kernel.news.seen()
    assert kernel.keys[WINDOW:] == ["often", "seldom"]
    assert kernel.got[WINDOW].body == b"9999"
    for _ in range(WINDOW + 5):
        kernel.news.seen()
    assert len(kernel.got) == WINDOW + 2


def test_who_wrote_a_value_is_answered_after_it_was_told(kernel: Kernel) -> None:
    kernel.put("a")
    kernel.news.after("a", lambda: kernel.got.append("told a"))
    assert kernel.got[1:] == ["told a"]
    fill_up = WINDOW - 1
    for number in range(fill_up):
        kernel.put(f"more-{number}")
    kernel.put("b")
    kernel.news.after("b", lambda: kernel.got.append("told b"))
    kernel.put("b", b"2")
    assert "told b" not in kernel.got
    kernel.news.seen()
    assert [kernel.got[-2].body, kernel.got[-1]] == [b"2", "told b"]


def test_who_waits_for_all_waits_for_what_is_there_now(kernel: Kernel) -> None:
    kernel.news.after_all(lambda: kernel.got.append("nothing to wait for"))
    assert kernel.got.pop() == "nothing to wait for"
    fill(kernel)
    kernel.put("a")
    kernel.put("b")
    kernel.news.after_all(lambda: kernel.got.append("all"))
    kernel.news.seen()
    assert kernel.keys[-1] == "a"
    assert "all" not in kernel.got
    kernel.put("c")
    kernel.news.seen()
    assert kernel.got[-1] == "all"


def test_the_end_answers_who_waits(kernel: Kernel) -> None:
    fill(kernel)
    kernel.put("a")
    kernel.news.after("a", lambda: kernel.got.append("over"))
    kernel.news.clear()
    assert kernel.got[-1] == "over"
    kernel.news.seen()
    assert kernel.keys[-1] != "a"
