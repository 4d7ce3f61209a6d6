"""The engine's requests from the kernel, carried out in this process against the real server."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from forge_rtc_nb import control
from forge_rtc_nb.arena import Arena, create_arena
from forge_rtc_nb.control import Control, Way
from forge_rtc_nb.engine import streams
from forge_rtc_nb.engine.service import Service
from forge_rtc_nb.ring import REGIONS, Reader, create_memory
from tests.engine.pairs import HandTrack
from tests.engine.tab import Tab
from tests.server.client import Client
from tests.support import JupyterProcess, await_for

C = TypeVar("C", bound=Control)


class Kernel:
    """What a kernel would send to its engine, and what it gets."""

    def __init__(self, server: JupyterProcess) -> None:
        self.memory = create_memory()
        self.arena = Arena(create_arena(), "engine")
        self.got: list[Control] = []
        self.way = Way("test", server.url, token=server.token)
        self.service = Service(self.memory, self.arena, self.got.append)
        self._req = 0

    def of(self, kind: type[C]) -> list[C]:
        return [message for message in self.got if isinstance(message, kind)]

    async def ask(self, make: Any) -> control.Reply:
        self._req += 1
        req = self._req
        self.service.receive(make(req))
        await await_for(lambda: [reply for reply in self.of(control.Reply) if reply.req == req], what="a reply")
        return next(reply for reply in self.of(control.Reply) if reply.req == req)

    async def join(self, room: str, name: str | None = None, ways: list[Way] | None = None) -> control.Reply:
        way = [self.way] if ways is None else ways
        return await self.ask(lambda req: control.Join(req, room, name, way, 10.0))

    async def leave(self, room: str) -> control.Reply:
        return await self.ask(lambda req: control.Leave(req, room))

    def open(self, view: int, room: str, participant: str, stream: str, pixel_format: str = "rgb24") -> None:
        self.service.receive(control.OpenView(view, room, participant, stream, pixel_format))

    async def close(self) -> None:
        await self.service.close()
        os.close(self.memory)
        self.arena.close()


@asynccontextmanager
async def kernel_of(server: JupyterProcess) -> AsyncIterator[Kernel]:
    kernel = Kernel(server)
    try:
        yield kernel
    finally:
        await kernel.close()


def room_id() -> str:
    return f"service-{secrets.token_hex(4)}"


async def heard(client: Client) -> list[str]:
    """Types of what the server sent to this participant until now."""
    return [message["type"] for message in await asyncio.to_thread(client.sync)]


# ---- rooms ----


async def test_joining_again_tells_the_room_and_nobody_else(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        with Client(jupyter, room) as observer:
            await asyncio.to_thread(observer.hello)
            await kernel.join(room, "me")
            assert "room.joined" in await heard(observer)
            await kernel.join(room, "me")
            await kernel.join(room)
            first, second, third = kernel.of(control.Welcomed)
            assert first.me.id == second.me.id == third.me.id
            assert await heard(observer) == []


async def test_joining_with_another_name_is_another_participant(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        with Client(jupyter, room) as observer:
            await asyncio.to_thread(observer.hello)
            await kernel.join(room, "one")
            await kernel.join(room, "two")
            assert await heard(observer) == ["room.joined", "room.left", "room.joined"]
            assert [welcome.me.name for welcome in kernel.of(control.Welcomed)] == ["one", "two"]


async def test_a_room_that_the_server_closed_is_entered_afresh(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        await kernel.join(room)
        await asyncio.to_thread(jupyter.request, "DELETE", f"forge-rtc/api/rooms/{room}")
        await await_for(lambda: kernel.of(control.RoomState)[-1].state == "closed", what="the room is closed")
        assert (await kernel.join(room)).error is None
        assert kernel.of(control.RoomState)[-1].state == "joined"
        first, second = kernel.of(control.Welcomed)
        assert first.me.id != second.me.id


async def test_a_closed_room_holds_no_connection(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        with Client(jupyter, room) as tab:
            await asyncio.to_thread(tab.hello, streams=[CAMERA])
            await kernel.join(room)
            kernel.open(1, room, kernel.of(control.Welcomed)[-1].participants[0].id, "camera-1")
            inside = kernel.service._rooms[room]
            await await_for(lambda: inside._peers, what="a peer")
            await asyncio.to_thread(jupyter.request, "DELETE", f"forge-rtc/api/rooms/{room}")
            await await_for(lambda: not inside._peers, what="the peer is let go")
            await await_for(lambda: kernel.of(control.ViewEnded), what="the view ends")


async def test_each_way_is_tried_and_the_failures_are_told(jupyter: JupyterProcess) -> None:
    async with kernel_of(jupyter) as kernel:
        nowhere = Way("a closed port", "http://127.0.0.1:1/")
        no_extension = Way("not Jupyter", jupyter.url + "api/")
        wrong = Way("a wrong token", jupyter.url, token="wrong")
        reply = await kernel.join(room_id(), ways=[nowhere, no_extension, wrong])
        assert reply.error == "signaling"
        assert [line.split(" (")[0] for line in reply.message.splitlines()] == [
            "a closed port",
            "not Jupyter",
            "a wrong token",
        ]
        assert (await kernel.join(room_id(), ways=[nowhere, wrong, kernel.way])).error is None


async def test_leaving_a_room_that_one_is_not_in_is_no_error(jupyter: JupyterProcess) -> None:
    async with kernel_of(jupyter) as kernel:
        assert (await kernel.leave("nowhere")).error is None


async def test_a_ticket_needs_a_room(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        reply = await kernel.ask(lambda req: control.TicketRequest(req, room, "k1"))
        assert reply.error == "not-in-room"
        await kernel.join(room)
        reply = await kernel.ask(lambda req: control.TicketRequest(req, room, kernel.of(control.Welcomed)[0].me.id))
        assert reply.value["url"] == jupyter.url
        with Client(jupyter, room, credentials={}) as tab:
            welcome = await asyncio.to_thread(tab.hello, ticket=reply.value["ticket"])
            assert welcome["participant"]["kind"] == "browser"


async def test_a_kernel_that_came_in_by_a_ticket_cannot_give_others(jupyter: JupyterProcess) -> None:
    room = room_id()
    body = {"room": room, "kind": "kernel"}
    ticket = (await asyncio.to_thread(jupyter.request, "POST", "forge-rtc/api/tickets", body))["ticket"]
    async with kernel_of(jupyter) as kernel:
        assert (await kernel.join(room, ways=[Way("browser", jupyter.url, ticket=ticket)])).error is None
        reply = await kernel.ask(lambda req: control.TicketRequest(req, room, "k1"))
        assert reply.error == "forbidden"


# ---- views ----

CAMERA = {"id": "camera-1", "name": "camera", "kind": "video", "source": "camera"}


async def test_a_synthetic_stream_runs_while_its_view_is_open(jupyter: JupyterProcess) -> None:
    async with kernel_of(jupyter) as kernel:
        kernel.open(1, "", "", "synthetic:48x64@50")
        (opened,) = kernel.of(control.ViewOpened)
        reader = Reader(kernel.memory, opened.region)
        await await_for(lambda: reader.head > 3, what="pictures")
        reader.close()
        kernel.service.receive(control.CloseView(1))
        kernel.service.receive(control.CloseView(1))
        assert kernel.service._synthetic == {}
        assert kernel.service._views.count == 0


@pytest.mark.parametrize("stream", ["nonsense", "synthetic:0x0@0", "synthetic:8192x8192@30"])
async def test_a_synthetic_stream_that_cannot_be_ends_its_view(jupyter: JupyterProcess, stream: str) -> None:
    async with kernel_of(jupyter) as kernel:
        kernel.open(1, "", "", stream)
        await await_for(lambda: kernel.of(control.ViewEnded), what="the view ends")
        assert kernel.of(control.ViewEnded)[0].error is not None
        kernel.service.receive(control.CloseView(1))
        assert kernel.service._views.count == 0
        kernel.open(2, "", "", "synthetic:48x64@50")
        await await_for(lambda: kernel.of(control.ViewReady), what="pictures")


async def test_a_stream_that_there_is_not_ends_its_view(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        kernel.open(1, room, "p1", "camera-1")
        assert kernel.of(control.ViewEnded)[-1].error == "not-in-room"
        await kernel.join(room)
        kernel.open(2, room, "p1", "camera-1")
        assert kernel.of(control.ViewEnded)[-1].error == "stream-not-found"
        for view in (1, 2):
            kernel.service.receive(control.CloseView(view))
        assert kernel.service._views.count == 0


async def test_more_views_than_there_are_regions_is_an_error_that_passes(jupyter: JupyterProcess) -> None:
    async with kernel_of(jupyter) as kernel:
        for view in range(REGIONS + 1):
            kernel.open(view, "", "", "synthetic:16x16@0.1")
        (ended,) = kernel.of(control.ViewEnded)
        assert (ended.view, ended.error) == (REGIONS, "memory")
        assert f"{REGIONS} streams" in ended.message
        kernel.service.receive(control.CloseView(0))
        kernel.open(REGIONS + 1, "", "", "synthetic:16x16@0.1")
        assert len(kernel.of(control.ViewEnded)) == 1
        for view in range(REGIONS + 2):
            kernel.service.receive(control.CloseView(view))
        assert kernel.service._views.count == 0


async def test_a_stream_stays_subscribed_for_a_moment_after_its_last_view(
    jupyter: JupyterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LINGER", 0.5)
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        with Client(jupyter, room) as tab:
            me = (await asyncio.to_thread(tab.hello, streams=[CAMERA]))["participant"]["id"]
            await kernel.join(room)
            await heard(tab)
            kernel.open(1, room, me, "camera-1")
            kernel.open(2, room, me, "camera-1", "gray")
            kernel.service.receive(control.CloseView(1))
            kernel.service.receive(control.CloseView(2))
            kernel.open(3, room, me, "camera-1")
            kernel.service.receive(control.CloseView(3))
            asked = await asyncio.to_thread(tab.wait_for, "stream.subscribe")
            assert asked["stream"] == "camera-1"
            ended = await asyncio.to_thread(tab.receive)
            assert (ended["type"], ended["stream"]) == ("stream.unsubscribe", "camera-1")


async def test_a_stream_that_its_tab_stops_ends_the_views(jupyter: JupyterProcess) -> None:
    room = room_id()
    async with kernel_of(jupyter) as kernel:
        with Client(jupyter, room) as tab:
            me = (await asyncio.to_thread(tab.hello, streams=[CAMERA]))["participant"]["id"]
            await kernel.join(room)
            kernel.open(1, room, me, "camera-1")
            await asyncio.to_thread(tab.send, "room.updated", streams=[])
            await await_for(lambda: kernel.of(control.ViewEnded), what="the view ends")
            assert kernel.of(control.ViewEnded)[0] == control.ViewEnded(1)
        await await_for(lambda: kernel.of(control.ParticipantLeft), what="the tab left")


async def test_pictures_come_from_a_tab_over_the_real_server(jupyter: JupyterProcess) -> None:
    room = room_id()
    track = HandTrack()
    async with kernel_of(jupyter) as kernel, Tab(jupyter, room, {"camera-1": track}) as tab:
        await kernel.join(room)
        kernel.open(1, room, tab.id, "camera-1", "gray")
        reader = Reader(kernel.memory, kernel.of(control.ViewOpened)[0].region)

        def arrived() -> bool:
            track.show(200)
            return reader.head > 2

        await await_for(arrived, what="pictures")
        picture = reader.copy(reader.head - 1, "gray")
        assert picture is not None
        assert abs(int(picture.array.mean()) - (200 - 16) * 255 / 219) < 6
        reader.close()
        kernel.service.receive(control.CloseView(1))
