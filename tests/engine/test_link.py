"""The engine's end of the control socket: from any thread, never blocking, bounded, and its end."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator

import pytest

from forge_rtc_nb import control
from forge_rtc_nb.control_stream import Message, Unpacker, pack
from forge_rtc_nb.engine import link as link_module
from forge_rtc_nb.engine.link import Link
from forge_rtc_nb.protocol import Participant
from tests.support import await_for


class Ends:
    """A link, what it received, and the kernel's end of its socket."""

    def __init__(self) -> None:
        self.kernel, ours = socket.socketpair()
        self.kernel.setblocking(False)
        self.received: list[Message] = []
        self.ended = 0
        self.unpacker = Unpacker()
        self.arrived: list[Message] = []
        self.link = Link(ours, self.received.append, self._end)

    def _end(self) -> None:
        self.ended += 1

    def read(self) -> list[Message]:
        """Everything that the kernel's end has got until now."""
        try:
            while data := self.kernel.recv(65536):
                self.arrived += self.unpacker.feed(data)
        except BlockingIOError:
            pass
        return self.arrived


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends()
    yield ends
    ends.link.close()
    ends.kernel.close()


def long_message(number: int) -> control.PeerFault:
    return control.PeerFault("r", str(number), "x" * 50_000)


async def test_messages_go_both_ways(ends: Ends) -> None:
    ends.link.post(control.ViewReady(1))
    assert ends.read() == [control.ViewReady(1)]
    ends.kernel.send(pack(control.CloseView(2)) + pack(control.CloseView(3))[:3])
    await await_for(lambda: ends.received, what="a message")
    assert ends.received == [control.CloseView(2)]


async def test_posts_of_many_threads_to_a_slow_kernel_arrive_whole_and_in_order(ends: Ends) -> None:
    def post(start: int) -> None:
        for number in range(start, start + 40):
            ends.link.post(long_message(number))

    threads = [threading.Thread(target=post, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()  # none blocks, though nobody has read anything
    await await_for(lambda: len(ends.read()) == 120, what="all of them")
    numbers = [int(message.participant_id) for message in ends.arrived if isinstance(message, control.PeerFault)]
    for start in (0, 1000, 2000):
        assert [n for n in numbers if start <= n < start + 1000] == list(range(start, start + 40))


async def test_a_kernel_that_never_reads_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MAX_WAITING", 1_000_000)
    for number in range(60):
        ends.link.post(long_message(number))
    await await_for(lambda: ends.ended, what="the end")


async def test_the_kernels_end_is_told_once_and_posting_goes_on_harmlessly(ends: Ends) -> None:
    ends.kernel.close()
    await await_for(lambda: ends.ended, what="the end")
    ends.link.post(control.ViewReady(1))
    ends.link.close()
    assert ends.ended == 1


async def test_what_is_not_ours_is_the_end(ends: Ends) -> None:
    ends.kernel.send(b"\xff" * 100)
    await await_for(lambda: ends.ended, what="the end")


async def test_a_message_that_cannot_be_handled_does_not_stop_the_next(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(message: Message) -> None:
        if isinstance(message, control.Leave):
            raise ValueError("a bug")
        ends.received.append(message)

    monkeypatch.setattr(ends.link, "_receive", receive)
    ends.kernel.send(pack(control.Leave(1, "r")) + pack(control.CloseView(2)))
    await await_for(lambda: ends.received, what="the second")
    assert ends.ended == 0


async def test_of_a_participant_only_the_newest_state_waits_for_a_slow_kernel(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "MAX_WAITING", 1_000_000)
    for number in range(30_000):  # far more than that, were each of them kept
        who = Participant(id=f"p-{number % 2}", name=str(number), kind="browser", user="u")
        ends.link.post(control.ParticipantUpdated("room", who))
    ends.link.post(control.ViewReady(7))
    await await_for(lambda: ends.read()[-1:] == [control.ViewReady(7)], what="the last message")
    names = [message.participant.name for message in ends.arrived if isinstance(message, control.ParticipantUpdated)]
    assert sorted(names[-2:]) == ["29998", "29999"]
    assert len(names) < 30_000
    assert not ends.ended
