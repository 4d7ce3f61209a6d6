"""The engine's connection to one other participant: answers offers or makes them, routes pictures and data (engine process)."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from ..protocol import Answer, IceCandidate, IceServer, Message, Negotiate, Offer, SessionDescription, Subscribe, Unsubscribe
from .aiortc_compat import LiveReceiver, Sink, close_connection, heed_packet_size
from .datalink import DataLink, Port
from .heartbeat import Heartbeat
from .inbox import Inbox, Wish
from .media_lines import MediaLines
from .negotiation import DEFAULT_CODECS, Negotiation, is_mdns, prepare_answer, prepare_offer
from .sending import Find, Sending
from .tasks import Tasks

logger = logging.getLogger(__name__)

RETRY_FIRST, RETRY_LAST = 0.5, 8.0
CONNECT_LIMIT = 8.0
"""Seconds from our answer to a connection that is up. aiortc stays in ``new`` for ever where no candidate pair works; a
``latest()`` that waits its default 10 s should learn of it."""


def preferred_codecs() -> tuple[str, ...]:
    """The codecs to ask browsers for, best first: ``FORGE_RTC_VIDEO_CODECS``, by default ``H264,VP8``."""
    names = os.environ.get("FORGE_RTC_VIDEO_CODECS", "").upper().replace(" ", "").split(",")
    return tuple(name for name in names if name in DEFAULT_CODECS) or DEFAULT_CODECS


def _usable(listed: IceServer) -> RTCIceServer | None:
    """The server without addresses that aiortc cannot read (IPv6 literals): one of them would end every connection."""
    urls = []
    for url in listed.urls:
        try:
            parse_stun_turn_uri(url)
            urls.append(url)
        except ValueError:
            logger.warning("the ICE server %s is left out: this engine cannot use such an address", url)
    return RTCIceServer(urls=urls, username=listed.username, credential=listed.credential) if urls else None


class Peer:
    """All that happens between this engine and one participant, over any number of connections one after the other."""

    def __init__(
        self,
        participant_id: str,
        send: Callable[[Message], None],
        ice_servers: Callable[[], Awaitable[list[IceServer]]],
        on_fault: Callable[[str], None],
        on_data_fault: Callable[[str, str], None] = lambda label, why: None,
        expect: Callable[[str], Port | None] = lambda label: None,
        published: Find = lambda stream: None,
        offers: bool = False,
    ) -> None:
        self.id = participant_id
        self.data = DataLink(on_data_fault, expect)
        self._offers = offers
        """Whether it is us who offer: to a kernel with a higher id."""
        self._pending: Offer | None = None
        """Our offer, as long as it is not answered."""
        self._send = send
        self._ice_servers = ice_servers
        self._on_fault = on_fault
        self._negotiation = Negotiation()
        self._sending = Sending(published)
        self._lines = MediaLines()
        """Where we offer: the m-lines of the present connection."""
        self._sinks: dict[str, Sink] = {}
        self._pc: RTCPeerConnection | None = None
        self._round_trip = self._offset = 0.0
        self._retry_delay = RETRY_FIRST
        self._asking = False
        self._inbox = Inbox()
        self._tasks = Tasks()
        self._connection_tasks = Tasks()
        self._closing = Tasks()
        self._tasks.start(self._work())

    def subscribe(self, stream: str, sink: Sink) -> None:
        """Ask for a stream; its pictures or sound go to ``sink`` from now on, over whatever connection."""
        self._sinks[stream] = sink
        self._negotiation.wanted.add(stream)
        self._route_sinks()  # its m-line may be there from before: the sender then needs no new offer
        self._send(Subscribe(to=self.id, stream=stream))
        self._offer_lines()

    def unsubscribe(self, stream: str) -> None:
        self._negotiation.wanted.discard(stream)
        self._sinks.pop(stream, None)
        self._route_sinks()
        self._send(Unsubscribe(to=self.id, stream=stream))

    def asked_for(self, message: Subscribe | Unsubscribe) -> None:
        """The other side wants a stream of ours, or does not want it any more."""
        self._sending.ask(message.stream, isinstance(message, Subscribe))
        self._offer_lines()
        self.publications_changed()

    def publications_changed(self) -> None:
        """What goes over the present m-lines may be another publication's, or nobody's."""
        if self._pc is not None:
            self._sending.apply(self._pc)

    def _offer_lines(self) -> None:
        """There may be a stream without an m-line."""
        if self._offers and not self._asking:
            self._inbox.wish()

    def need(self) -> None:
        """There is something to send or to take that may need a connection."""
        if self._offers and self._pc is None and not self._asking:
            self._inbox.wish()
        self.data.pump()

    def renew(self, offers: bool) -> None:
        """To the other side we are somebody new: there will be a new connection, and who offers it may have changed."""
        self._offers = offers
        self._sending.asked.clear()
        if self._pc is not None or self._pending is not None:
            self._lost("this participant has a new id")
        else:
            self.need()

    def negotiate(self, message: Negotiate) -> None:
        """The other side asks for a new connection; one that it asked for before the present one was offered is no matter."""
        if not self._offers or (message.epoch is not None and message.epoch < (self._negotiation.epoch or 0)):
            return
        if message.restart and self._pc is not None:
            self._lost("the other side lost it")
        else:
            self.need()

    def resubscribe(self) -> None:
        """Repeat every wish, after signaling was away: messages may have been lost."""
        if self._pending is not None:
            self._send(self._pending)
        for stream in self._negotiation.wanted:
            self._send(Subscribe(to=self.id, stream=stream))

    def receive(self, message: Offer | Answer | IceCandidate) -> None:
        """Queue a description or candidate; they are worked on one after the other."""
        if isinstance(message, Offer) and not self._offers:
            # At once: an unsubscribe that comes after it must not be undone when it is worked on.
            self._sending.want(message.wants)
        if not self._inbox.put(message):
            logger.warning("%s sends faster than its offers can be answered; a candidate is dropped", self.id)

    async def close(self) -> None:
        self.data.dispose()
        await self._tasks.close()
        self._close_connection()
        await self._closing.finish()

    async def _work(self) -> None:
        while True:
            message = await self._inbox.get()
            try:
                await self._work_on(message)
            except Exception as error:
                # aiortc raises nearly anything on bad SDP (AttributeError, StopIteration, ...): this connection only.
                kind = type(message).__name__
                logger.warning("%s with %s failed: %r", kind, self.id, error)
                if not isinstance(message, IceCandidate):
                    self._lost(f"its {kind.lower()} cannot be used ({type(error).__name__}: {error})")

    async def _work_on(self, message: Offer | Answer | IceCandidate | Wish) -> None:
        match message:
            case Offer():
                await self._answer(message)
            case Answer():
                await self._accept(message)
            case Wish():
                await self._offer()
            case IceCandidate():
                await self._add_candidate(message)

    async def _offer(self) -> None:
        if not self._needed or self._pending is not None:
            return  # what is missing is looked for again when the answer is here
        is_new = self._pc is None
        if is_new:
            self._negotiation.new_epoch(time.time())
            await self._open_connection()
        pc = self._pc
        assert pc is not None
        wanted = {stream: self._sinks[stream].kind for stream in self._negotiation.wanted}
        if not self._lines.fill(pc, wanted, self._sending.asked_here) and not is_new:
            return
        await pc.setLocalDescription(await pc.createOffer())
        self._negotiation.mids = self._lines.incoming
        self._sending.carry(self._lines.outgoing)
        self._pending = Offer(
            to=self.id,
            epoch=self._negotiation.epoch,
            sdp=SessionDescription(type="offer", sdp=pc.localDescription.sdp),
            streams=self._sending.streams,
            wants=self._lines.wants(wanted),
        )
        self._send(self._pending)
        if is_new:
            self._check_candidates(self._pending.sdp.sdp)
            self._connection_tasks.start(self._limit_connecting(pc))

    async def _accept(self, answer: Answer) -> None:
        pc = self._pc
        if not self._offers or pc is None or not self._negotiation.is_current(answer.epoch) or self._pending is None:
            return
        self._pending = None
        sdp = prepare_offer(answer.sdp.sdp, preferred_codecs(), self._sending.codecs)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        self._route_sinks()
        self._sending.apply(pc)
        self._inbox.wish()  # for what was wanted meanwhile

    @property
    def _needed(self) -> bool:
        return bool(self._negotiation.wanted) or self.data.needed or (self._offers and bool(self._sending.asked_here))

    def _check_candidates(self, sdp: str) -> None:
        if "\na=candidate:" not in sdp:
            # aioice keeps silent about it, and the connection would stay "new" for ever.
            self._on_fault("no network address to offer: are the STUN and TURN servers' addresses and credentials right?")

    async def _answer(self, offer: Offer) -> None:
        if self._offers:
            logger.warning("%s offers, though its id is the higher one; that is dropped", self.id)
            return
        step = self._negotiation.offer(offer.epoch or 0, offer.streams)
        if step == "stale":
            return
        if step == "new":
            await self._open_connection()
        elif self._pc is None:
            self._lost("it goes on with a connection that is closed here")
            return
        pc = self._pc
        assert pc is not None
        self._sending.carry({want.mid: want.stream for want in offer.wants})
        heed_packet_size(pc, offer.sdp.sdp)
        sdp = prepare_offer(offer.sdp.sdp, preferred_codecs(), self._sending.codecs)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        self._route_sinks()
        self._sending.prepare(pc)
        await pc.setLocalDescription(await pc.createAnswer())
        answer = SessionDescription(type="answer", sdp=prepare_answer(pc.localDescription.sdp))
        self._send(Answer(to=self.id, epoch=offer.epoch, sdp=answer))
        self._sending.apply(pc)
        if step == "new":
            self._connection_tasks.start(self._limit_connecting(pc))
        self._check_candidates(answer.sdp)

    async def _open_connection(self) -> None:
        await self._close_connection()
        servers = [server for listed in await self._ice_servers() if (server := _usable(listed)) is not None]
        # An explicit list, also when empty: aiortc's default is a public STUN server.
        pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._pc = pc
        pc.on("connectionstatechange", lambda: self._state_changed(pc))
        self._open_control(pc)
        self.data.attach(pc, self._offers)

    async def _limit_connecting(self, pc: RTCPeerConnection) -> None:
        limit = CONNECT_LIMIT
        await asyncio.sleep(limit)
        if pc is self._pc and pc.connectionState != "connected":
            self._lost(f"no connection within {limit:g} s")

    def _open_control(self, pc: RTCPeerConnection) -> None:
        channel: RTCDataChannel = pc.createDataChannel("control", negotiated=True, id=0)

        def send(text: str) -> None:
            if channel.readyState == "open":
                channel.send(text)

        heartbeat = Heartbeat(send, lambda: self._dead(pc), self._measured)
        channel.on("message", heartbeat.receive)
        channel.on("open", lambda: self._connection_tasks.start(heartbeat.run()))
        if channel.readyState == "open":
            self._connection_tasks.start(heartbeat.run())

    def _measured(self, round_trip: float, offset: float) -> None:
        self._round_trip, self._offset = round_trip, offset
        for receiver in self._receivers():
            receiver.round_trip, receiver.clock.offset = round_trip, offset

    def _receivers(self) -> list[LiveReceiver]:
        transceivers = self._pc.getTransceivers() if self._pc is not None else []
        return [t.receiver for t in transceivers if isinstance(t.receiver, LiveReceiver)]

    def _route_sinks(self) -> None:
        """Point each receiver at the sink of the stream that its m-line carries now."""
        if self._pc is None:
            return
        for transceiver in self._pc.getTransceivers():
            receiver: Any = transceiver.receiver
            if isinstance(receiver, LiveReceiver):
                stream = self._negotiation.stream_of(transceiver.mid) if transceiver.mid is not None else None
                sink = self._sinks.get(stream) if stream is not None else None
                receiver.sink = sink if sink is not None and sink.kind == receiver.kind else None
                receiver.round_trip, receiver.clock.offset = self._round_trip, self._offset

    async def _add_candidate(self, message: IceCandidate) -> None:
        if self._pc is None or not self._negotiation.is_current(message.epoch):
            return
        if message.candidate is None or not message.candidate.candidate or is_mdns(message.candidate.candidate):
            return  # the end is never told to aioice: it would fail before the browser's own checks arrive
        candidate = candidate_from_sdp(message.candidate.candidate.removeprefix("a=").removeprefix("candidate:"))
        candidate.sdpMid = message.candidate.sdpMid
        candidate.sdpMLineIndex = message.candidate.sdpMLineIndex
        await self._pc.addIceCandidate(candidate)

    def _state_changed(self, pc: RTCPeerConnection) -> None:
        if pc is not self._pc:
            return
        if pc.connectionState == "connected":
            self._retry_delay = RETRY_FIRST
        elif pc.connectionState in ("failed", "closed"):
            self._dead(pc)

    def _dead(self, pc: RTCPeerConnection) -> None:
        if pc is self._pc:
            self._lost("the connection was lost")

    def _lost(self, why: str) -> None:
        """The present connection is over: the next message finds none."""
        self._tasks.start(self._fail(self._close_connection(), why))

    async def _fail(self, closed: Awaitable[None], why: str) -> None:
        """Ask for a new connection while anybody wants its streams, again and again: a request may be lost on its way."""
        await closed
        if not self._needed or self._asking:
            return
        self._on_fault(why)
        self._asking = True
        while self._pc is None and self._needed:
            delay, self._retry_delay = self._retry_delay, min(self._retry_delay * 2, RETRY_LAST)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            if self._pc is None and self._needed:
                self._ask()
        self._asking = False

    def _ask(self) -> None:
        if self._offers:
            self._inbox.wish()
        else:
            self._send(Negotiate(to=self.id, epoch=self._negotiation.epoch, restart=True))

    def _close_connection(self) -> Awaitable[None]:
        """Takes the connection out at once, so that another may come; what is returned waits until it is closed."""
        pc, tasks = self._pc, self._connection_tasks
        self._pc, self._pending, self._connection_tasks = None, None, Tasks()
        self._lines = MediaLines()
        self._sending.forget()
        self.data.detach()
        return asyncio.shield(self._closing.start(self._close(pc, tasks)))

    async def _close(self, pc: RTCPeerConnection | None, tasks: Tasks) -> None:
        await tasks.close()
        try:
            if pc is not None:
                await asyncio.wait_for(close_connection(pc), 5)
        except Exception as error:
            logger.warning("closing a connection to %s: %r", self.id, error)
