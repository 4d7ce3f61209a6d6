"""Sends that somebody ends in the middle: they do not return as if the message had arrived (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import Sending, another_kernel, open_everywhere
from tests.kernel.rooms import Join
from tests.support import JupyterProcess

pytestmark = pytest.mark.usefixtures("no_room_is_left")

LARGE = np.zeros(1_000_000)


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
        (lambda room, channel: room._finish(rtc.NotInRoom("left"), "left"), rtc.NotInRoom),
    ],
    ids=["the channel is closed", "the room is left", "the room is left, and the engine has no time to answer"],
)
def test_a_send_that_is_cut_off_raises(
    room: rtc.Room, end: Callable[[rtc.Room, rtc.Channel], None], error: type[BaseException]
) -> None:
    (channel,) = room.channels
    sending = Sending(channel, LARGE)
    end(room, channel)
    sending.join()
    assert isinstance(sending.raised, error)


def test_a_send_whose_only_receiver_leaves_ends_without_an_error(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with another_kernel(jupyter, room_id) as bob:
        room = join(room_id)
        channel = open_everywhere(room, bob, maxsize=1)
        channel.send(0)
        sending = Sending(channel, LARGE)
        bob.run("room.leave()")
        sending.join()
        assert sending.raised is None
