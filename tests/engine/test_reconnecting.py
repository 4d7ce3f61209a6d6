"""The signaling client against a server that refuses hellos: what is final, and what only takes a while (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from forge_rtc_nb import protocol
from forge_rtc_nb.control import Way
from forge_rtc_nb.engine.signaling import Entry, SignalingClient
from forge_rtc_nb.protocol import Error, Limits, Message, Participant, Welcome

ME = Participant(id="0123456789abcdef", name="notebook", kind="kernel", user="ann")
LIMITS = Limits(message_bytes=65536, messages_per_second=50, burst=100, participants=64, resume_seconds=30)
WELCOME = Welcome(version=1, room="r", participant=ME, participants=[], limits=LIMITS, resume="x")


Answers = list[tuple[Message | None, int]]


class Told:
    """The states that a client reports, and the next one to wait for."""

    def __init__(self) -> None:
        self._states: asyncio.Queue[str] = asyncio.Queue()

    def put(self, state: str, detail: str) -> None:
        self._states.put_nowait(state)

    async def next(self) -> str:
        return await asyncio.wait_for(self._states.get(), 10)


@asynccontextmanager
async def client_of(answers: Answers) -> AsyncIterator[Told]:
    """A client that was welcomed and lost its connection; each hello then gets one of the answers, the last a welcome."""
    told = Told()
    answers = [(WELCOME, protocol.CLOSE_SLOW_READER), *answers]

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        answer, code = answers.pop(0) if answers else (WELCOME, 0)
        if answer is not None:
            await socket.send(protocol.encode(answer))
        if code:
            await socket.close(code)
        await socket.wait_closed()

    def receive(message: Message) -> None:
        assert isinstance(message, Welcome)
        told.put("welcomed", "")

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        client = SignalingClient(Entry("r", None), [Way("a test", f"http://127.0.0.1:{port}/")], receive, told.put)
        await client.enter()
        running = asyncio.create_task(client.run())
        try:
            yield told
        finally:
            await client.close()
            await asyncio.wait_for(running, 10)


@pytest.mark.parametrize(
    "refusal",
    [(Error(code="rate-limited", message="come again"), 1013), (None, 1012), (None, 1013)],
    ids=["too many hellos", "restarting", "busy"],
)
async def test_a_hello_refused_for_now_is_said_again(refusal: tuple[Message | None, int]) -> None:
    async with client_of([refusal]) as told:
        assert [await told.next(), await told.next()] == ["reconnecting", "welcomed"]


async def test_a_hello_refused_for_good_is_not() -> None:
    async with client_of([(Error(code="room-full", message="full"), protocol.CLOSE_FULL)]) as told:
        assert [await told.next(), await told.next()] == ["reconnecting", "closed"]
