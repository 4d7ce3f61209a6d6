"""The m-lines of a connection that we offer: one for each stream that we want, or are asked for (engine process)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiortc import RTCPeerConnection, RTCRtpTransceiver

from ..protocol import MediaKind, Want

Wanted = Mapping[str, MediaKind]
"""What each of these streams is, by its id."""


class _Lines:
    """Those in one direction. A line stays with its stream while that is wanted; then another stream may have it."""

    def __init__(self, direction: str) -> None:
        self._direction = direction
        self._lines: dict[str, RTCRtpTransceiver] = {}

    def fill(self, pc: RTCPeerConnection, wanted: Wanted) -> bool:
        """Have a line for each; true where that changes what the other side must know."""
        missing = sorted(wanted.keys() - self._lines.keys())
        for stream in missing:
            kind = wanted[stream]
            unused = next((name for name, line in self._lines.items() if name not in wanted and line.kind == kind), None)
            if unused is not None:
                self._lines[stream] = self._lines.pop(unused)
            else:
                self._lines[stream] = pc.addTransceiver(kind, direction=self._direction)
        return bool(missing)

    @property
    def mids(self) -> dict[str, str]:
        """By stream; known once there is a local description."""
        return {stream: line.mid for stream, line in self._lines.items() if line.mid is not None}


class MediaLines:
    """Of one connection."""

    def __init__(self) -> None:
        self._incoming = _Lines("recvonly")
        self._outgoing = _Lines("sendonly")

    def fill(self, pc: RTCPeerConnection, wanted: Wanted, asked: Wanted) -> bool:
        """Have what is missing; true where it must be offered."""
        coming, going = self._incoming.fill(pc, wanted), self._outgoing.fill(pc, asked)
        return coming or going

    @property
    def incoming(self) -> dict[str, str]:
        """The mid of each stream that we receive."""
        return self._incoming.mids

    @property
    def outgoing(self) -> dict[str, str]:
        """The stream of each mid on which we send."""
        return {mid: stream for stream, mid in self._outgoing.mids.items()}

    def wants(self, wanted: Iterable[str]) -> list[Want]:
        mids = self.incoming
        return [Want(stream=stream, mid=mids[stream]) for stream in sorted(wanted) if stream in mids]
