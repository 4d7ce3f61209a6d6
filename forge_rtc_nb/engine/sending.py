"""What one participant gets of this kernel's streams: which m-line carries which, and who fills it (engine process)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from aiortc import RTCPeerConnection, RTCRtpTransceiver

from ..protocol import MediaKind, Stream, Want
from .aiortc_compat import PacketTrack, packet_track
from .aiortc_compat.packet_sender import FrameSource
from .published import Published

Find = Callable[[str], Published | None]


class Sending:
    """``find`` gives the stream of an id, None where it is not published any more."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self.asked: set[str] = set()
        """Streams that the participant wants at the moment."""
        self._carried: dict[str, str] = {}
        """The stream of each m-line of the present connection, by mid."""
        self._codecs: dict[str, str | None] = {}
        """The only codec of each m-line, by mid. It keeps the one of its first stream, as aiortc's sender does."""
        self._viewers: dict[str, tuple[Published, FrameSource]] = {}
        """Who takes the frames or packets of an m-line, by mid."""

    def want(self, wants: Iterable[Want]) -> None:
        """An offer came that says all that is wanted."""
        self.asked = {want.stream for want in wants}

    def ask(self, stream: str, wanted: bool) -> None:
        """Of what is not published nothing is remembered: who asks decides how often."""
        if not wanted:
            self.asked.discard(stream)
        elif self._find(stream) is not None:
            self.asked.add(stream)

    def carry(self, mids: Mapping[str, str]) -> None:
        """The present connection has these m-lines for them: stream by mid.

        What is not told is as it was: a line stays with a stream that is not wanted at the moment, and when it is wanted again
        there may be no offer.
        """
        self._carried |= mids
        for mid, stream in mids.items():
            published = self._find(stream)
            self._codecs.setdefault(mid, published.request.codec if published is not None else None)

    @property
    def asked_here(self) -> dict[str, MediaKind]:
        """Those of the streams asked for that there are, and what each is."""
        found = {stream: self._find(stream) for stream in self.asked}
        return {stream: published.stream.kind for stream, published in found.items() if published is not None}

    @property
    def streams(self) -> list[Stream]:
        """What the present connection carries, as an offer says it."""
        found = [(mid, self._find(stream)) for mid, stream in self._carried.items()]
        return [msgspec.structs.replace(published.stream, mid=mid) for mid, published in found if published is not None]

    @property
    def codecs(self) -> dict[str, str]:
        """By mid: the only codec that an m-line is to have."""
        return {mid: codec for mid, codec in self._codecs.items() if codec is not None}

    def prepare(self, pc: RTCPeerConnection) -> None:
        """Before the answer: the m-lines that are wanted will send."""
        for transceiver in pc.getTransceivers():
            if transceiver.mid in self._carried:
                transceiver.direction = "sendonly"

    def forget(self) -> None:
        """The connection is gone, and its senders with it."""
        self._carried, self._codecs, self._viewers = {}, {}, {}

    def apply(self, pc: RTCPeerConnection) -> None:
        """Have each m-line send what it is to carry now."""
        for transceiver in pc.getTransceivers():
            if transceiver.mid is not None:
                self._connect(transceiver, transceiver.mid)

    def _connect(self, transceiver: RTCRtpTransceiver, mid: str) -> None:
        stream = self._carried.get(mid)
        published = self._find(stream) if stream is not None and stream in self.asked else None
        if published is not None and published.kind == transceiver.kind:
            self._show(packet_track(transceiver), mid, published)
        elif isinstance(transceiver.sender.track, PacketTrack):
            transceiver.sender.track.source = None
            self._viewers.pop(mid, None)

    def _show(self, track: PacketTrack, mid: str, published: Published) -> None:
        present = self._viewers.get(mid)
        if present is None or present[0] is not published:
            viewer = published.viewer()
            self._viewers[mid] = published, viewer
            track.source = viewer
