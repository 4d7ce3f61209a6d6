"""Channels in coroutines: the same as the blocking calls, and the loop goes on meanwhile (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import ECHO, open_everywhere, settle
from tests.python_process import PythonProcess
from tests.support import await_for


@pytest.fixture(scope="module")
def mark(room: rtc.Room, bob: PythonProcess) -> rtc.Channel:
    """For `settle`."""
    return open_everywhere(room, bob)


@pytest.fixture
def channel(room: rtc.Room, bob: PythonProcess) -> Iterator[rtc.Channel]:
    with open_everywhere(room, bob, maxsize=2) as channel:
        yield channel
        bob.run("ch.close()")


async def test_values_go_there_and_come_back(channel: rtc.Channel, bob: PythonProcess) -> None:
    bob.run(ECHO)
    values: tuple[Any, ...] = ("text", np.arange(50_000), {"a": [1, 2]})
    for value in values:
        await channel.asend(value)
        assert np.array_equal(await channel.arecv(), value)
    await channel.asend("again")
    message = await channel.areceive()
    assert (message.value, message.sender.name) == ("again", "bob")


async def test_the_loop_goes_on_while_a_coroutine_waits_for_a_message(channel: rtc.Channel, bob: PythonProcess) -> None:
    receiving = asyncio.create_task(channel.arecv(timeout=10))
    turns = 0
    while turns < 10:
        await asyncio.sleep(0)
        turns += 1
    assert not receiving.done()
    bob.run("ch.send('here')")
    assert await receiving == "here"


async def test_waiting_ends_after_its_timeout(channel: rtc.Channel) -> None:
    with pytest.raises(rtc.RTCTimeout, match=r"no message within 0.1 s"):
        await channel.arecv(timeout=0.1)
    with pytest.raises(rtc.RTCTimeout):
        await channel.arecv(timeout=0)


async def test_a_timeout_of_a_send_names_who_is_slow(channel: rtc.Channel, bob: PythonProcess, mark: rtc.Channel) -> None:
    await channel.asend(1)
    await channel.asend(2)
    with pytest.raises(rtc.SendTimeout, match="'bob'"):
        await channel.asend(3, timeout=0.2)
    settle(mark)
    assert bob.run("[ch.recv(), ch.recv()]") == [1, 2]
    await channel.asend(4)
    assert bob.run("ch.recv()") == 4


async def test_a_send_that_is_cancelled_is_stopped(
    room: rtc.Room, channel: rtc.Channel, bob: PythonProcess, mark: rtc.Channel
) -> None:
    await channel.asend(1)
    await channel.asend(2)
    sending = asyncio.create_task(channel.asend(3))
    await await_for(lambda: room._data.client._replies, what="the send is under way")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    settle(mark)
    assert bob.run("[ch.recv(), ch.recv()]") == [1, 2]
    await channel.asend(4)
    assert bob.run("ch.recv()") == 4


async def test_a_receive_that_is_cancelled_takes_nothing(channel: rtc.Channel, bob: PythonProcess) -> None:
    receiving = asyncio.create_task(channel.arecv())
    await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    bob.run("ch.send('for the next')")
    assert await channel.arecv() == "for the next"


async def test_several_coroutines_share_what_comes(channel: rtc.Channel, bob: PythonProcess) -> None:
    readers = [asyncio.create_task(channel.arecv()) for _ in range(5)]
    await asyncio.to_thread(bob.run, "for n in range(5): ch.send(n)")
    assert sorted(await asyncio.gather(*readers)) == [0, 1, 2, 3, 4]


async def test_iteration_ends_with_the_channel(channel: rtc.Channel, bob: PythonProcess) -> None:
    got: list[int] = []

    async def read() -> None:
        async for value in channel:
            got.append(value)  # noqa: PERF401 - looked at meanwhile

    reading = asyncio.create_task(read())
    await asyncio.to_thread(bob.run, "for n in range(5): ch.send(n)")
    await await_for(lambda: got == [0, 1, 2, 3, 4], what="all messages")
    channel.close()
    await asyncio.wait_for(reading, 5)
    with pytest.raises(rtc.ChannelClosed):
        await channel.arecv()
    with pytest.raises(rtc.ChannelClosed):
        await channel.asend(1)


async def test_the_value_is_copied_before_the_first_wait(channel: rtc.Channel, bob: PythonProcess) -> None:
    array = np.ones(1_000_000, np.uint8)
    sending = asyncio.create_task(channel.asend(array))
    await asyncio.sleep(0)  # it has begun
    array[:] = 2
    await sending
    assert bob.run("int(ch.recv().sum())") == 1_000_000


def test_a_loop_that_ends_while_a_message_is_awaited_harms_nobody(channel: rtc.Channel, bob: PythonProcess) -> None:
    async def give_up() -> None:
        asyncio.get_running_loop().create_task(channel.arecv(timeout=60))
        await asyncio.sleep(0)

    asyncio.run(give_up())
    bob.run("ch.send('here')")
    assert channel.recv() == "here"
