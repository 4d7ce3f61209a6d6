"""DTLS records of a connection whose handshake is done, by OpenSSL itself on buffers of ours (engine process).

pyOpenSSL takes four Python calls, three copies and an exception for each record that it reads, and aiortc cuts records at 1500
bytes. Both keep what is behind them private: the memory BIOs, and the bindings that cryptography makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from OpenSSL import SSL

from ..datachannel.udp import MAX_RUN, MAX_SEGMENTS

MAX_PLAIN = 2**14
"""Bytes of a record's content (RFC 6347 section 4.1)."""
_MOST_ADDED = 512
"""More than any cipher adds to a record."""

_ssl: Any = SSL
_lib: Any = _ssl._lib
_ffi: Any = _ssl._ffi
_HEADER = 13
"""Bytes of a record's header, the last two of them the length of the rest."""


class RecordLayer:
    """Both directions. Closes of its own, without a word to anybody, where the other end closes or fails."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection: Any = connection  # owns what the pointers below point to
        self._ssl = self._connection._ssl
        self._from_peer, self._to_peer = self._connection._into_ssl, self._connection._from_ssl
        self._plain = _ffi.new("char[]", MAX_PLAIN)
        self._sealed = bytearray(MAX_RUN + MAX_PLAIN + _MOST_ADDED)
        self._view = memoryview(self._sealed)
        self._base = _ffi.from_buffer(self._sealed)
        self.may_answer = True
        """Whether what came may have given OpenSSL something to send; data has not."""
        self.closed = False
        """The other end said so, or sent a fatal alert (RFC 5246 section 7.2)."""

    def decrypt(self, buffer: bytearray | bytes, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """What is in the datagrams that begin and end there. Forged, broken and repeated ones hold nothing."""
        packets: list[bytes] = []
        ssl, plain, from_peer = self._ssl, self._plain, self._from_peer
        write, read, unpack = _lib.BIO_write, _lib.SSL_read, _ffi.unpack
        _lib.ERR_clear_error()
        with _ffi.from_buffer(buffer) as base:
            for start, end in spans:
                write(from_peer, base + start, end - start)
                size = read(ssl, plain, MAX_PLAIN)
                if size > 0:
                    packets.append(unpack(plain, size))
                    size = end - start
                    if size >= _HEADER and (buffer[start + 11] << 8 | buffer[start + 12]) + _HEADER == size:
                        continue  # it is all of the datagram; else OpenSSL is asked for more
                    self.may_answer = True
                    while (size := read(ssl, plain, MAX_PLAIN)) > 0:
                        packets.append(unpack(plain, size))
                self._nothing_read(size)
        return packets

    def _nothing_read(self, result: int) -> None:
        self.may_answer = True
        error = _lib.SSL_get_error(self._ssl, result)
        if error == _lib.SSL_ERROR_WANT_READ:
            return
        _lib.ERR_clear_error()
        if error == _lib.SSL_ERROR_ZERO_RETURN or _lib.SSL_get_shutdown(self._ssl) & _lib.SSL_RECEIVED_SHUTDOWN:
            self.closed = True

    def encrypt(self, packets: Sequence[bytes]) -> Iterator[tuple[memoryview, int]]:
        """Runs of datagrams, and the size of each in a run (the last may be smaller); valid until the next is asked for.

        `ConnectionError` where the connection is over, `ValueError` for a packet that is larger than a record.
        """
        end = segment = first = count = 0
        if left := self.pending():  # before a record of ours ends up behind it
            yield memoryview(left), len(left)
        for packet in packets:
            length = len(packet)
            if count and (length > first or count == MAX_SEGMENTS or end + segment > MAX_RUN):
                yield self._view[:end], segment
                end = count = 0
            size = self._seal(packet, length, end)
            end += size
            count += 1
            if count == 1:
                segment, first = size, length
            elif length < first:  # only the last of a run may be smaller
                yield self._view[:end], segment
                end = count = 0
        if count:
            yield self._view[:end], segment

    def _seal(self, packet: bytes, length: int, start: int) -> int:
        """Size of the record, which is in our buffer from ``start`` on."""
        if _lib.SSL_write(self._ssl, packet, length) <= 0:
            if length > MAX_PLAIN:
                _lib.ERR_clear_error()
                raise ValueError(f"a packet of {length} bytes does not fit into a DTLS record, which holds {MAX_PLAIN}")
            _lib.ERR_clear_error()
            raise ConnectionError("Cannot send encrypted data, the DTLS connection is over")
        size: int = _lib.BIO_read(self._to_peer, self._base + start, MAX_PLAIN + _MOST_ADDED)
        return size

    def pending(self) -> bytes:
        """What OpenSSL itself wants to send: alerts, and handshake messages again whose answers were lost. Seldom anything."""
        size = _lib.BIO_read(self._to_peer, self._base, MAX_RUN)
        self.may_answer = size > 0
        return bytes(self._view[:size]) if size > 0 else b""
