"""Every exception that users see is raised by something that a user can reach."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import queue
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb import errors
from forge_rtc_nb.kernel.joining import joined
from forge_rtc_nb.kernel.requests import error_of
from forge_rtc_nb.server import SERVICE_KEY
from forge_rtc_nb.server.ice import IceServers
from forge_rtc_nb.server.service import WebRTCService
from forge_rtc_nb.server.settings import Settings
from forge_rtc_nb.server.tickets import TicketOffice
from tests.server.client import Client
from tests.support import JupyterProcess, free_port

CAMERA = {"id": "camera-00000001", "name": "camera", "kind": "video", "source": "camera"}


class Case:
    """What a provocation gets: a room id of its own on the session's server."""

    def __init__(self, jupyter: JupyterProcess) -> None:
        self.jupyter = jupyter
        self.room_id = f"error-{secrets.token_hex(4)}"

    def join(self) -> rtc.Room:
        return rtc.join(self.room_id, server=self.jupyter.url, token=self.jupyter.token)

    def client(self) -> Client:
        return Client(self.jupyter, self.room_id)

    def tell(self, type: str, **fields: Any) -> None:
        """Say something as a client of the signaling protocol; raises what the code of the server's answer stands for."""
        with self.client() as client:
            client.hello()
            client.send(type, **fields)
            answer = client.wait_for("error")
        raise error_of(answer["code"], answer["message"])


@pytest.fixture
def case(jupyter: JupyterProcess) -> Iterator[Case]:
    yield Case(jupyter)
    for room in joined.rooms():
        room.leave()


# In a notebook


def no_server_there(case: Case) -> None:
    rtc.join(case.room_id, server=f"http://127.0.0.1:{free_port()}/")


def a_wrong_token(case: Case) -> None:
    rtc.join(case.room_id, server=case.jupyter.url, token="wrong")


def a_server_that_does_not_let_this_user_in(case: Case) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        try:
            rtc.join(case.room_id, server=f"http://127.0.0.1:{server.server_port}/", token="of-a-guest")
        finally:
            thread.join()


def a_server_that_is_no_url(case: Case) -> None:
    rtc.join(case.room_id, server="my server")


def a_room_id_with_a_space(case: Case) -> None:
    rtc.join("my room", server=case.jupyter.url)


def a_room_without_a_free_place(case: Case) -> None:
    case.jupyter.request("POST", "forge-rtc/api/rooms", {"id": case.room_id, "max_participants": 1})
    with case.client() as client:
        client.hello()
        case.join()


def a_room_that_was_left(case: Case) -> None:
    room = case.join()
    room.leave()
    room.wait_for(2)


def somebody_who_does_not_come(case: Case) -> None:
    case.join().wait_for("Godot", timeout=0.1)


def a_camera_that_is_not_on(case: Case) -> None:
    case.join().camera.latest(timeout=0.1)


def an_engine_that_is_killed(case: Case) -> None:
    stream = rtc.synthetic(size=(16, 16))
    stream.latest()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "forge_rtc_nb.engine" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)
    while True:
        stream.read()


def a_sender_to_whom_no_connection_comes_about(case: Case) -> None:
    room = case.join()
    with case.client() as tab, ThreadPoolExecutor() as pool:
        me = tab.hello(name="Ann", streams=[CAMERA])["participant"]["id"]
        room.wait_for(me)
        heard: queue.Queue[Exception] = queue.Queue()
        room.on("error", heard.put)
        reading = pool.submit(room.video("Ann").latest, 2)
        asked = tab.wait_for("stream.subscribe")
        # An offer that no WebRTC library takes stands for a network that lets nothing through.
        offer = {"type": "offer", "sdp": "v=0\r\nm=video nonsense\r\n"}
        tab.send("webrtc.offer", to=asked["from"], epoch=1, sdp=offer, streams=[{**CAMERA, "mid": "0"}])
        told = heard.get(timeout=10)
        assert isinstance(told, rtc.ConnectionFailed)
        assert str(told).startswith("no connection to 'Ann' (")
        reading.result(10)


def opened_by_both(case: Case, client: Client, **options: Any) -> rtc.Channel:
    """A channel that we have, and a participant who never takes a message of it."""
    room = case.join()
    client.hello(name="Ann", channels=[{"name": "spectra", **options}])
    room.wait_for("Ann")
    channel = room.channel("spectra", **options)
    assert [one.name for one in channel.participants] == ["Ann"]
    return channel


def a_receiver_that_takes_nothing(case: Case) -> None:
    with case.client() as client:
        opened_by_both(case, client).send("hello", timeout=0.3)


def a_channel_that_was_closed(case: Case) -> None:
    channel = case.join().channel("spectra")
    channel.close()
    channel.recv()


def a_channel_with_other_options_than_the_others(case: Case) -> None:
    with case.client() as client:
        channel = opened_by_both(case, client, maxsize=3)
        channel.close()
        joined.rooms()[0].channel("spectra", maxsize=4)


def a_value_that_is_too_large(case: Case) -> None:
    case.join().channel("spectra").send(np.zeros(2**30 + 1, np.uint8))


def a_receiver_that_has_not_opened_the_channel(case: Case) -> None:
    case.join().channel("spectra").send("hello", to="nobody")


# In another server extension


def with_service(work: Callable[[WebRTCService], Any]) -> None:
    async def run() -> None:
        office = TicketOffice(b"k" * 32, ticket_seconds=60, resume_seconds=60)
        ice = IceServers(lambda: ([], [], ""), lambda name: "", logging.getLogger("test"))
        service = WebRTCService(Settings(), office, ice, logging.getLogger("test"))
        serverapp = SimpleNamespace(web_app=SimpleNamespace(settings={SERVICE_KEY: service}))
        try:
            await work(rtc.get_webrtc(serverapp))
        finally:
            await service.close()

    asyncio.run(run())


def a_room_that_is_not_open(case: Case) -> None:
    with_service(lambda service: service.get_room("missing"))


def a_room_created_twice(case: Case) -> None:
    async def create(service: WebRTCService) -> None:
        await service.create_room("lecture")
        await service.create_room("lecture")

    with_service(create)


# In a client of the signaling protocol: the server raises it, the client gets its code


def a_message_to_nobody(case: Case) -> None:
    case.tell("stream.subscribe", to="nobody", stream="camera-00000001")


def a_message_without_its_fields(case: Case) -> None:
    case.tell("stream.subscribe", to="nobody")


def a_description_that_is_no_sdp(case: Case) -> None:
    case.tell("webrtc.offer", to="somebody", sdp={"type": "offer", "sdp": "hello"})


def a_candidate_that_is_none(case: Case) -> None:
    case.tell("webrtc.ice_candidate", to="somebody", candidate={"candidate": "hello"})


PROVOCATIONS: list[tuple[type[rtc.RTCError], Callable[[Case], None], str]] = [
    (rtc.SignalingError, no_server_there, "nothing listens there; is the Jupyter server running"),
    (rtc.Unauthorized, a_wrong_token, "does not accept these credentials"),
    (rtc.Forbidden, a_server_that_does_not_let_this_user_in, "its user may not join rooms"),
    (rtc.InvalidConfig, a_server_that_is_no_url, "is not an http:// or https:// URL"),
    (rtc.InvalidRoomId, a_room_id_with_a_space, "1 to 64 characters"),
    (rtc.RoomFull, a_room_without_a_free_place, "1 participants, its limit"),
    (rtc.NotInRoom, a_room_that_was_left, "join it again"),
    (rtc.RTCTimeout, somebody_who_does_not_come, "waited 0.1 s for 'Godot'"),
    (rtc.StreamNotFound, a_camera_that_is_not_on, "click Camera"),
    (rtc.EngineDied, an_engine_that_is_killed, "killed by SIGKILL"),
    (rtc.ConnectionFailed, a_sender_to_whom_no_connection_comes_about, "this needs a TURN server"),
    (rtc.SendTimeout, a_receiver_that_takes_nothing, "not taken within 0.3 s by 'Ann'"),
    (rtc.ChannelClosed, a_channel_that_was_closed, "open it again with room.channel('spectra')"),
    (rtc.ChannelOptions, a_channel_with_other_options_than_the_others, "maxsize=3"),
    (rtc.MessageTooLarge, a_value_that_is_too_large, "raise c.ForgeRTC.max_data_bytes"),
    (rtc.PeerNotFound, a_receiver_that_has_not_opened_the_channel, "'nobody' is not in the room"),
    (rtc.RoomNotFound, a_room_that_is_not_open, "there is no room 'missing'"),
    (rtc.RoomExists, a_room_created_twice, "join it, or delete it first"),
    (rtc.PeerNotFound, a_message_to_nobody, "'nobody' is no other participant"),
    (rtc.InvalidMessage, a_message_without_its_fields, "missing required field `stream`"),
    (rtc.InvalidSDP, a_description_that_is_no_sdp, "starts with 'v=0'"),
    (rtc.InvalidCandidate, a_candidate_that_is_none, "a candidate reads"),
]


@pytest.mark.parametrize(("error", "provoke", "words"), PROVOCATIONS, ids=[provoke.__name__ for _, provoke, _ in PROVOCATIONS])
def test_each_error_is_raised_and_says_what_is_wrong(
    case: Case, error: type[rtc.RTCError], provoke: Callable[[Case], None], words: str
) -> None:
    with pytest.raises(error) as caught:
        provoke(case)
    assert type(caught.value) is error
    assert words in str(caught.value)


def exported() -> set[type[rtc.RTCError]]:
    values = [getattr(rtc, name) for name in rtc.__all__]
    return {value for value in values if isinstance(value, type) and issubclass(value, rtc.RTCError)}


def test_a_name_exists_only_if_something_raises_it() -> None:
    assert {error for error, *_ in PROVOCATIONS} == exported() - {rtc.RTCError}


def test_all_errors_are_exported_and_have_one_base_and_a_code_of_their_own() -> None:
    defined = {v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)}
    assert defined == exported()
    assert all(error.__doc__ for error in defined)
    codes = [error.code for error in exported()]
    assert len(set(codes)) == len(codes)
    assert issubclass(rtc.RTCTimeout, TimeoutError)
    assert json.dumps(sorted(codes)).isascii()


def test_a_code_that_this_version_does_not_know_is_still_one_of_ours() -> None:
    assert type(error_of("from-the-future", "text")) is rtc.RTCError
