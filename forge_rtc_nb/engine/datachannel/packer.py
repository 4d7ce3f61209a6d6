"""Chunks become packets, several in one where they fit; pure (engine process)."""

from __future__ import annotations

from google_crc32c import extend

from .chunks import CHECKSUM, COMMON_HEADER, header_seed, packet_header


class Packer:
    """Packets of an association, with its ports and the peer's tag, none larger than ``size``."""

    def __init__(self, source: int, destination: int, tag: int, size: int) -> None:
        self.header = packet_header(source, destination, tag)
        self.seed = header_seed(self.header)
        self.size = size
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
            self.packets.append(b"".join((self.header, CHECKSUM.pack(extend(self.seed, body)), body)))
            self._chunks.clear()
            self._length = COMMON_HEADER

    def take(self) -> list[bytes]:
        """All packets there are."""
        self.flush()
        packets, self.packets = self.packets, []
        return packets
