"""One room as the engine sees it: signaling in, participants and streams out to the kernel (engine process)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from .. import control
from ..control import Control, Way
from ..errors import StreamNotFound
from ..protocol import (
    Answer,
    Between,
    Constrain,
    Constrained,
    Error,
    IceCandidate,
    IceRequest,
    IceServer,
    IceServers,
    Joined,
    Left,
    Limits,
    Mute,
    Negotiate,
    Offer,
    Participant,
    Pong,
    Routed,
    ServerMessage,
    Stream,
    Subscribe,
    Unsubscribe,
    Updated,
    Welcome,
)
from .announcing import Announcer
from .asking import Asking
from .bodies import Bodies
from .media import View
from .peer import Peer
from .publications import Publications
from .room_data import RoomData
from .signaling import Entry, SignalingClient
from .sound import SoundView
from .streams import RemoteStream, Sink
from .tasks import Tasks

logger = logging.getLogger(__name__)

ICE_TIMEOUT = 2.0
REPEAT = 2.0
"""Seconds, more or less, until wishes are repeated that the server could not pass on."""
ABSENCE = 10.0
"""Seconds that somebody may be missing from a welcome after a server restart before we believe that they left."""


class EngineRoom:
    """This engine's place in a room: one signaling socket, a `Peer` for each participant it talks to."""

    def __init__(
        self,
        entry: Entry,
        ways: list[Way],
        post: Callable[[Control], None],
        end_view: Callable[[int], None],
        bodies: Bodies,
    ) -> None:
        self.id = entry.room
        self.name = entry.name
        self.me: Participant | None = None
        self.server = ""
        self.state = control.RoomState(entry.room, "joining")
        self.participants: dict[str, Participant] = {}
        self.client = SignalingClient(entry, ways, self._receive, self._state_changed)
        self._post = post
        self._end_view = end_view
        self._peers: dict[str, Peer] = {}
        self._streams: dict[tuple[str, str], RemoteStream] = {}
        self._missing: dict[str, asyncio.TimerHandle] = {}
        self._repeating: asyncio.TimerHandle | None = None
        self._ice_answers: list[asyncio.Future[list[IceServer]]] = []
        self._tasks = Tasks()
        self._limits: Limits | None = None
        self._announcer = Announcer(entry, self.client.send, self._tasks)
        self.asking = Asking(self.client.send)
        self.publications = Publications(self._announcer, self._publications_changed)
        self.data = RoomData(
            entry.room,
            bodies,
            post,
            self._announcer,
            lambda participant_id: self._peer(participant_id).data,
            lambda participant_id: self._peer(participant_id).need(),
            self.participants,
        )

    async def enter(self) -> None:
        """Make the first connection, then keep it in the background; errors as `SignalingClient.enter`."""
        self._receive(await self.client.enter())
        self._tasks.start(self.client.run())

    async def close(self) -> None:
        """Leave, and end every connection and view."""
        await self.client.close()
        for timer in self._missing.values():
            timer.cancel()
        if self._repeating is not None:
            self._repeating.cancel()
        over = f"this kernel left room {self.id!r}"
        self.data.end()
        self.asking.end(over)
        for key in list(self._streams):
            self._end_stream(key)
        await self.publications.end(over)
        await asyncio.gather(*(self._take_out(participant_id) for participant_id in list(self._peers)))
        await self._tasks.close()

    @property
    def is_open(self) -> bool:
        """False once the server has ended it for us."""
        return self.state.state != "closed"

    def tell(self) -> None:
        """The room as it stands, to the kernel."""
        assert self.me is not None
        assert self._limits is not None
        self._post(control.Welcomed(self.id, self.me, list(self.participants.values()), self._limits, self.server))
        self._post(self.state)

    def open_view(self, number: int, participant_id: str, stream_id: str, view: View | SoundView) -> Sink:
        """Let a view read a stream; subscribes to it where that is needed. `StreamNotFound` where it is gone."""
        participant = self.participants.get(participant_id)
        record = next((s for s in participant.streams if s.id == stream_id), None) if participant is not None else None
        if record is None:
            raise StreamNotFound("the stream has stopped")
        key = (participant_id, stream_id)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self._remote_stream(participant_id, record)
        stream.use()
        stream.open(number, view)
        return stream.sink

    def release(self, sink: Sink) -> None:
        """A view of this sink was closed."""
        for stream in self._streams.values():
            if stream.sink is sink:
                stream.release()

    def _remote_stream(self, participant_id: str, stream: Stream) -> RemoteStream:
        return RemoteStream(
            stream.kind,
            lambda sink: self._peer(participant_id).subscribe(stream.id, sink),
            lambda: self._peer(participant_id).unsubscribe(stream.id),
        )

    def _peer(self, participant_id: str) -> Peer:
        peer = self._peers.get(participant_id)
        if peer is None:
            assert self.me is not None
            peer = self._peers[participant_id] = Peer(
                participant_id,
                self.client.send,
                self._ice_servers,
                lambda why: self._post(control.PeerFault(self.id, participant_id, why)),
                lambda label, why: self._post(control.DataFault(self.id, label, participant_id, why)),
                lambda label: self.data.expect(participant_id, label),
                self.publications.find,
                offers=self._offers(self.me.id, participant_id),
            )
        return peer

    def _publications_changed(self) -> None:
        for peer in self._peers.values():
            peer.publications_changed()

    async def _ice_servers(self) -> list[IceServer]:
        """The server's present list; empty where it does not answer, which leaves host candidates."""
        answer: asyncio.Future[list[IceServer]] = asyncio.get_running_loop().create_future()
        self._ice_answers.append(answer)
        self.client.send(IceRequest())
        try:
            return await asyncio.wait_for(answer, ICE_TIMEOUT)
        except TimeoutError:
            logger.warning("the server sent no ICE servers; trying without")
            return []
        finally:
            if answer in self._ice_answers:
                self._ice_answers.remove(answer)

    def _receive(self, message: ServerMessage) -> None:
        match message:
            case Welcome():
                self._welcome(message)
            case Joined(participant=participant):
                self._joined(participant)
            case Left(participant_id=participant_id, reason=reason):
                self._left(participant_id, reason)
            case Updated(participant=Participant() as participant):
                self._updated(participant)
            case Routed():
                self._from_peer(message)
            case Pong():
                self._announcer.receive(message)
            case IceServers(servers=servers):
                for answer in self._ice_answers:
                    if not answer.done():
                        answer.set_result(servers)
            case Error():
                self._announcer.receive(message)
                self.asking.refused(message)
                logger.warning("the server says %s: %s", message.code, message.message)
                if message.code == "slow-reader":
                    self._repeat_later()

    def _from_peer(self, message: Between) -> None:
        sender = message.from_
        if sender is None or sender not in self.participants:
            return
        match message:
            case Subscribe() | Unsubscribe():
                self._peer(sender).asked_for(message)
            case Negotiate():
                self._peer(sender).negotiate(message)
            case Offer() | Answer() | IceCandidate():
                self._peer(sender).receive(message)
            case Constrained():
                self.asking.receive(message)
            case Mute() | Constrain():
                logger.info("%s asks for something that only a tab does", sender)

    def _repeat_later(self) -> None:
        """Something for somebody who reads slowly, or is away, was not passed on: say again what we want, when it may fit."""
        if self._repeating is None:
            delay = REPEAT * random.uniform(0.5, 1.5)
            self._repeating = asyncio.get_running_loop().call_later(delay, self._repeat)

    def _repeat(self) -> None:
        self._repeating = None
        for participant_id in self.participants.keys() & self._peers.keys():
            self._peers[participant_id].resubscribe()

    def _welcome(self, welcome: Welcome) -> None:
        if self.me is not None and self.me.id != welcome.participant.id:
            self._renew(welcome.participant.id)
        self.me, self.server, self._limits = welcome.participant, welcome.server, welcome.limits
        present = {p.id: p for p in welcome.participants}
        for participant_id in self.participants.keys() - present.keys():
            self._expect(participant_id)
        known = set(self.participants)
        for participant_id, participant in present.items():
            self._cancel_missing(participant_id)
            self.participants[participant_id] = participant
            if participant_id in known:
                self._drop_ended_streams(participant)
        self.state = control.RoomState(self.id, "joined")
        self.tell()
        self.data.welcomed(welcome)
        self.data.refresh()
        for participant_id in present.keys() & self._peers.keys():
            self._peers[participant_id].resubscribe()

    def _renew(self, me: str) -> None:
        """We came back under another id: to the others we are somebody new, and who offers may have changed."""
        for participant_id, peer in self._peers.items():
            if participant_id in self.participants:
                peer.renew(self._offers(me, participant_id))

    def _offers(self, me: str, participant_id: str) -> bool:
        return self.participants[participant_id].kind == "kernel" and me < participant_id

    def _expect(self, participant_id: str) -> None:
        """Somebody is not back yet after a server restart: their media flows on, give them a moment."""
        if participant_id not in self._missing:
            loop = asyncio.get_running_loop()
            self._missing[participant_id] = loop.call_later(ABSENCE, self._left, participant_id, "expired")

    def _cancel_missing(self, participant_id: str) -> None:
        timer = self._missing.pop(participant_id, None)
        if timer is not None:
            timer.cancel()

    def _joined(self, participant: Participant) -> None:
        self._cancel_missing(participant.id)
        known = participant.id in self.participants
        self.participants[participant.id] = participant
        if known:
            self._updated(participant)
            if participant.id in self._peers:
                self._peers[participant.id].resubscribe()
        else:
            self._post(control.ParticipantJoined(self.id, participant))
            self.data.refresh()

    def _updated(self, participant: Participant) -> None:
        self.participants[participant.id] = participant
        self._drop_ended_streams(participant)
        self._post(control.ParticipantUpdated(self.id, participant))
        self.data.refresh()

    def _left(self, participant_id: str, reason: str) -> None:
        self._cancel_missing(participant_id)
        if self.participants.pop(participant_id, None) is None:
            return
        self._post(control.ParticipantLeft(self.id, participant_id, reason))
        self.asking.left(participant_id)
        self.data.refresh()
        self._forget(participant_id)

    def _drop_ended_streams(self, participant: Participant) -> None:
        present = {s.id for s in participant.streams}
        for key in [k for k in self._streams if k[0] == participant.id and k[1] not in present]:
            self._end_stream(key)
            if participant.id in self._peers:
                self._peers[participant.id].unsubscribe(key[1])

    def _end_stream(self, key: tuple[str, str]) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            for number in stream.close():
                self._end_view(number)

    def _forget(self, participant_id: str) -> None:
        for key in [k for k in self._streams if k[0] == participant_id]:
            self._end_stream(key)
        if participant_id in self._peers:
            self._tasks.start(self._take_out(participant_id))

    def _take_out(self, participant_id: str) -> Coroutine[Any, Any, None]:
        """At once: who comes back in this very moment gets a new one. What is returned waits until the old one is closed."""
        peer = self._peers.pop(participant_id)
        peer.data.dispose()
        return peer.close()

    def _state_changed(self, state: str, detail: str) -> None:
        self.state = control.RoomState(self.id, state, detail)
        self._post(self.state)
        if not self.is_open:  # for good: media must not flow on behind the server's back
            over = f"room {self.id!r} is closed: {detail}"
            self.data.end()
            self.asking.end(over)
            self._tasks.start(self.publications.end(over))
            for participant_id in list(self._peers):
                self._forget(participant_id)
