"""What a participant says of itself: one thing at a time, what the server refuses, what a reconnection loses (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from forge_rtc_nb.engine import announcing
from forge_rtc_nb.engine.announcing import Announcer
from forge_rtc_nb.engine.signaling import Entry, Refused
from forge_rtc_nb.engine.tasks import Tasks
from forge_rtc_nb.errors import ChannelClosed, RTCTimeout
from forge_rtc_nb.protocol import Channel, Error, Message, Participant, Ping, Pong, Stream, Updated
from tests.support import await_for

ONE, TWO = Channel(name="one"), Channel(name="two", maxsize=3)


class Said:
    """An announcer, and what it sent to the server."""

    def __init__(self) -> None:
        self.entry = Entry("room", "me")
        self.sent: list[Message] = []
        self.tasks = Tasks()
        self.announcer = Announcer(self.entry, self.sent.append, self.tasks)

    async def update(self) -> Updated:
        """The next thing that it says, with the ping after it."""
        await await_for(lambda: len(self.sent) >= 2, what="something is said")
        update, ping = self.sent.pop(0), self.sent.pop(0)
        assert isinstance(update, Updated)
        assert isinstance(ping, Ping)
        assert update.id == ping.id
        return update

    def accept(self, update: Updated) -> None:
        self.announcer.receive(Pong(id=update.id))

    def refuse(self, update: Updated, code: str = "channel-options") -> None:
        self.announcer.receive(Error(code=code, message="no", reply_to=update.id))

    def welcome(self, *channels: Channel, shared: bool = False) -> list[Channel]:
        me = Participant(id="p1", name="me", kind="kernel", user="u", joined_at=0, channels=list(channels), shared=shared)
        return self.announcer.welcomed(me)


@pytest.fixture
async def said() -> AsyncIterator[Said]:
    said = Said()
    yield said
    await said.tasks.close()


def names(update: Updated) -> list[str]:
    return [channel.name for channel in update.channels or []]


async def test_opening_a_channel_waits_for_the_server(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    update = await said.update()
    assert (update.channels, update.shared) == ([ONE], False)
    assert not opening.done()
    said.announcer.receive(Pong(id="another"))
    await asyncio.sleep(0)
    assert not opening.done()
    said.accept(update)
    await opening
    assert list(said.announcer.channels) == ["one"]


async def test_what_the_server_refuses_is_raised_and_not_said_again(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    said.refuse(await said.update())
    with pytest.raises(Refused, match="no") as raised:
        await opening
    assert raised.value.code == "channel-options"
    opening = asyncio.create_task(said.announcer.open(TWO))
    update = await said.update()
    assert names(update) == ["two"]
    said.accept(update)
    await opening


async def test_an_error_that_answers_something_else_is_no_refusal(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    update = await said.update()
    said.announcer.receive(Error(code="peer-not-found", message="x", reply_to="other"))
    said.accept(update)
    await opening


async def test_one_thing_is_said_at_a_time(said: Said) -> None:
    first = asyncio.create_task(said.announcer.open(ONE))
    second = asyncio.create_task(said.announcer.open(TWO))
    update = await said.update()
    assert names(update) == ["one"]
    assert said.sent == []
    said.refuse(update)
    with pytest.raises(Refused):
        await first
    update = await said.update()
    assert names(update) == ["two"]
    said.accept(update)
    await second


async def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "PATIENCE", 0.05)
    with pytest.raises(RTCTimeout, match="did not answer"):
        await said.announcer.open(ONE)
    assert said.announcer.channels == {}


async def test_an_opening_that_is_given_up_is_not_said_any_more(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    await said.update()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert said.announcer.channels == {}


async def test_closing_is_said_once(said: Said) -> None:
    said.entry.channels["one"] = ONE
    said.announcer.close("one")
    said.announcer.close("one")
    update = await said.update()
    assert names(update) == []
    said.accept(update)
    await said.tasks.finish()
    assert said.sent == []


async def test_that_one_holds_shared_values_is_said_when_it_changes(said: Said) -> None:
    assert said.announcer.set_shared(True)
    assert not said.announcer.set_shared(True)
    update = await said.update()
    assert update.shared
    said.accept(update)
    assert said.announcer.set_shared(False)
    said.accept(await said.update())


async def test_a_welcome_that_knows_all_of_it_is_an_answer(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    await said.update()
    said.entry.introduced = frozenset({"one"})  # signaling broke, and the hello said it
    assert said.welcome(ONE) == []
    await opening


async def test_a_welcome_without_what_the_hello_said_is_a_refusal(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    await said.update()
    said.entry.channels["two"] = TWO
    said.entry.introduced = frozenset({"one", "two"})
    assert sorted(channel.name for channel in said.welcome()) == ["one", "two"]
    with pytest.raises(Refused, match="other options"):
        await opening
    assert said.announcer.channels == {}


async def test_what_changed_after_the_hello_is_said_again(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    lost = await said.update()
    said.entry.introduced = frozenset()  # the hello was on its way before that
    assert said.welcome() == []
    assert not opening.done()
    update = await said.update()
    assert update == lost
    said.accept(update)
    await opening


async def test_a_channel_that_is_closed_while_it_waits_for_its_turn_is_never_said(said: Said) -> None:
    first = asyncio.create_task(said.announcer.open(ONE))
    update = await said.update()
    second = asyncio.create_task(said.announcer.open(TWO))
    await asyncio.sleep(0)
    said.announcer.close("two")
    said.accept(update)
    await first
    with pytest.raises(ChannelClosed, match="while it was being opened"):
        await second
    assert list(said.announcer.channels) == ["one"]
    assert said.sent == []


async def test_a_channel_that_is_closed_while_the_server_is_asked_is_taken_back(said: Said) -> None:
    opening = asyncio.create_task(said.announcer.open(ONE))
    update = await said.update()
    said.announcer.close("one")
    said.accept(update)
    with pytest.raises(ChannelClosed):
        await opening
    assert names(await said.update()) == []


async def test_what_was_closed_between_hello_and_welcome_is_taken_back(said: Said) -> None:
    said.entry.channels["one"] = ONE
    said.entry.introduced = frozenset({"one"})
    said.entry.channels.clear()
    assert said.welcome(ONE) == []
    assert names(await said.update()) == []


# ---- streams ----

PLOT = Stream(id="pub-1", name="plot", kind="video", source="other")


async def test_a_stream_is_published_when_the_server_has_taken_it(said: Said) -> None:
    publishing = asyncio.create_task(said.announcer.publish(PLOT))
    update = await said.update()
    assert update.streams == [PLOT]
    assert not publishing.done()
    said.accept(update)
    await publishing
    said.announcer.unpublish(PLOT.id)
    assert (await said.update()).streams == []


async def test_a_stream_that_is_refused_is_taken_back(said: Said) -> None:
    publishing = asyncio.create_task(said.announcer.publish(PLOT))
    said.refuse(await said.update(), "invalid-message")
    with pytest.raises(Refused):
        await publishing
    assert (await said.update()).streams == []


async def test_a_stream_that_a_reconnection_lost_is_said_again(said: Said) -> None:
    publishing = asyncio.create_task(said.announcer.publish(PLOT))
    said.accept(await said.update())
    await publishing
    assert said.welcome() == []
    assert (await said.update()).streams == [PLOT]
