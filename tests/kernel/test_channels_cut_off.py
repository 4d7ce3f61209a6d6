"""Sends that somebody ends in the middle: they do not return as if the message had arrived (test process)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import another_kernel, open_everywhere
from tests.kernel.rooms import Join
from tests.support import JupyterProcess, wait_for


class Sending:
    """A send in a thread of its own that nobody takes, and what it raised."""

    def __init__(self, channel: rtc.Channel) -> None:
        self.raised: BaseException | None = None
        self._channel = channel
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        try:
            self._channel.send(np.zeros(1_000_000), timeout=60, progress=False)
        except BaseException as error:
            self.raised = error

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def room(jupyter: JupyterProcess, join: Join, room_id: str) -> Iterator[rtc.Room]:
    """With somebody who has the channel ``full`` open, with room for one message, and reads nothing."""
    with another_kernel(jupyter, room_id) as bob:
        room = join(room_id)
        channel = open_everywhere(room, bob, name="full", maxsize=1)
        channel.send(0)
        yield room


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (lambda room, channel: channel.close(), rtc.ChannelClosed),
        (lambda room, channel: room.leave(), (rtc.ChannelClosed, rtc.NotInRoom)),
    ],
    ids=["the channel is closed", "the room is left"],
)
def test_a_send_that_is_cut_off_raises(
    room: rtc.Room, end: Callable[[rtc.Room, rtc.Channel], None], error: type[BaseException]
) -> None:
    (channel,) = room.channels
    sending = Sending(channel)
    wait_for(lambda: len(room._data.client._replies) == 1, what="the send is under way")
    end(room, channel)
    sending.join()
    assert isinstance(sending.raised, error)


def test_a_send_whose_only_receiver_leaves_ends_without_an_error(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with another_kernel(jupyter, room_id) as bob:
        room = join(room_id)
        channel = open_everywhere(room, bob, maxsize=1)
        channel.send(0)
        sending = Sending(channel)
        wait_for(lambda: len(room._data.client._replies) == 1, what="the send is under way")
        bob.run("room.leave()")
        sending.join()
        assert sending.raised is None
