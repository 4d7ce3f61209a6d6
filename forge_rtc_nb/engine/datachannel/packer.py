"""Chunks become packets, several in one where they fit; pure (engine process)."""

from __future__ import annotations

from google_crc32c import extend

from .chunks import CHECKSUM, COMMON_HEADER, COOKIE_ECHO, NO_CHECKSUM, header_seed, packet_header


class Packer:
    """Packets of an association, with its ports and the peer's tag, none larger than ``size``.

    ``unchecked``: without a checksum, but for COOKIE ECHO (RFC 9653 section 5.2).
    """

    def __init__(self, source: int, destination: int, tag: int, size: int, unchecked: bool = False) -> None:
        self.header = packet_header(source, destination, tag)
        self.seed = header_seed(self.header)
        self.size = size
        self.unchecked = unchecked
        self.packets: list[bytes] = []
        self._chunks: list[bytes] = []
        self._length = COMMON_HEADER

    @property
    def count(self) -> int:
        """Packets, the one that may still grow included."""
        return len(self.packets) + bool(self._chunks)

    def room_for(self, size: int) -> bool:
        """Whether the packet under way takes a chunk of that size, so that it costs no packet more."""
        return bool(self._chunks) and self._length + size <= self.size

    def add(self, chunk: bytes) -> None:
        """A padded chunk, in the packet under way where that has room."""
        if self._length + len(chunk) > self.size and self._chunks:
            self.flush()
        self._chunks.append(chunk)
        self._length += len(chunk)

    def flush(self) -> None:
        """What comes next begins a packet of its own."""
        if self._chunks:
            body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            checked = not self.unchecked or body[0] == COOKIE_ECHO
            checksum = CHECKSUM.pack(extend(self.seed, body)) if checked else NO_CHECKSUM
            self.packets.append(b"".join((self.header, checksum, body)))
            self._chunks.clear()
            self._length = COMMON_HEADER

    def take(self) -> list[bytes]:
        """All packets there are."""
        self.flush()
        packets, self.packets = self.packets, []
        return packets
