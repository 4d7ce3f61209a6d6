"""DTLS records of a connection whose handshake is done, by OpenSSL itself on buffers of ours (engine process).

pyOpenSSL takes four Python calls, three copies and an exception for each record that it reads, and aiortc cuts records at 1500
bytes. Both keep what is behind them private: the memory BIOs, and the bindings that cryptography makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from OpenSSL import SSL

from ..datachannel.udp import MAX_RUN, MAX_SEGMENTS, Run

APPLICATION_DATA = 23
"""The first byte of a record with data (RFC 5246 section 6.2.1)."""
MAX_PLAIN = 2**14
"""Bytes of a record's content (RFC 6347 section 4.1)."""
MOST_TOGETHER = MAX_PLAIN
"""Bytes that OpenSSL takes for one datagram: its buffer holds the largest record, and what came beyond would be cut."""
MOST_WAITING = 8192
"""Bytes of records that wait in OpenSSL before they are taken: few enough to be in the processor's nearest cache yet."""
_HEADER = 13
"""Bytes of a record's header, the last two of them the length of the rest."""
_ADDED_GCM = _HEADER + 8 + 16
"""What AES-GCM adds to a record: a nonce and a tag (RFC 5288 section 3); ChaCha20-Poly1305 adds less (RFC 7905)."""
_ADDED_CBC = _HEADER + 16 + 48 + 16
"""At most: an initialization vector, the longest code, padding (RFC 5246 section 6.2.3.2)."""

_ROOM = MAX_RUN + MAX_PLAIN + _ADDED_CBC
"""Bytes for a run of records."""

_ssl: Any = SSL
_lib: Any = _ssl._lib
_ffi: Any = _ssl._ffi


class RecordLayer:
    """Both directions. Closes of its own, without a word to anybody, where the other end closes or fails.

    What OpenSSL has of a call is small beside the call: records are sealed many in a row and taken from it together, and a run
    of datagrams with a record each is given to it in large pieces, as DTLS may have several records in a datagram.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection: Any = connection  # owns what the pointers below point to
        self._ssl = self._connection._ssl
        self._from_peer, self._to_peer = self._connection._into_ssl, self._connection._from_ssl
        self._plain = _ffi.new("char[]", MAX_PLAIN)
        self._sealed = bytearray(_ROOM)
        self._view = memoryview(self._sealed)
        self._base = _ffi.from_buffer(self._sealed)
        name = str(connection.get_cipher_name())
        self._added = _ADDED_GCM if "GCM" in name or "POLY1305" in name else _ADDED_CBC
        self.may_answer = True
        """Whether what came may have given OpenSSL something to send; data has not."""
        self.closed = False
        """The other end said so, or sent a fatal alert (RFC 5246 section 7.2)."""

    def decrypt(self, buffer: bytearray | bytes, runs: Iterable[Run]) -> list[bytes]:
        """What is in the datagrams there. Forged, broken and repeated ones hold nothing."""
        packets: list[bytes] = []
        ssl, plain, from_peer = self._ssl, self._plain, self._from_peer
        write, read, unpack = _lib.BIO_write, _lib.SSL_read, _ffi.unpack
        _lib.ERR_clear_error()
        with _ffi.from_buffer(buffer) as base:
            for begin, end, size in runs:
                at, step = begin, _together(buffer, begin, end, size)
                while at < end:
                    stop = min(end, at + step)
                    write(from_peer, base + at, stop - at)
                    while at < stop:
                        got = read(ssl, plain, MAX_PLAIN)
                        if got <= 0:
                            self._nothing_read(got)
                            break
                        packets.append(unpack(plain, got))
                        at += size
                    else:  # as many as there are datagrams
                        last = at - size
                        if last + _HEADER > stop or _record_size(buffer, last) != stop - last:
                            self._read_rest(packets)
                    at = stop
        return packets

    def _read_rest(self, packets: list[bytes]) -> None:
        """Of a datagram that may hold more, or something else."""
        while (got := _lib.SSL_read(self._ssl, self._plain, MAX_PLAIN)) > 0:
            packets.append(_ffi.unpack(self._plain, got))
        self._nothing_read(got)

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
        end = waiting = first = count = 0
        if self.may_answer and (left := self.pending()):  # before a record of ours ends up behind it
            yield memoryview(left), len(left)
        ssl, added, write = self._ssl, self._added, _lib.SSL_write
        for packet in packets:
            length = len(packet)
            if count and (length > first or count == MAX_SEGMENTS or end + waiting + length + added > MAX_RUN):
                yield self._run(end, waiting)
                end = waiting = count = 0
            if write(ssl, packet, length) <= 0:
                self._refuse(length)
            waiting += length + added
            count += 1
            if count == 1:
                first = length
            elif length < first:  # only the last of a run may be smaller
                yield self._run(end, waiting)
                end = waiting = count = 0
            if waiting > MOST_WAITING:
                end += _lib.BIO_read(self._to_peer, self._base + end, _ROOM - end)
                waiting = 0
        if count:
            yield self._run(end, waiting)

    def _run(self, end: int, waiting: int) -> tuple[memoryview, int]:
        """All records that were sealed, and the size of each; ``end`` bytes of them were taken from OpenSSL already."""
        if waiting:
            end += _lib.BIO_read(self._to_peer, self._base + end, _ROOM - end)
        return self._view[:end], _record_size(self._sealed, 0)

    def _refuse(self, length: int) -> None:
        """The packet cannot be sealed; those of its run before it are lost with it."""
        _lib.ERR_clear_error()
        _lib.BIO_read(self._to_peer, self._base, _ROOM)
        if length > MAX_PLAIN:
            raise ValueError(f"a packet of {length} bytes does not fit into a DTLS record, which holds {MAX_PLAIN}")
        raise ConnectionError("Cannot send encrypted data, the DTLS connection is over")

    def pending(self) -> bytes:
        """What OpenSSL itself wants to send: alerts, and handshake messages again whose answers were lost. Seldom anything."""
        size = _lib.BIO_read(self._to_peer, self._base, _ROOM)
        self.may_answer = size > 0
        return bytes(self._view[:size]) if size > 0 else b""


def _record_size(buffer: bytearray | bytes, at: int) -> int:
    """Bytes of the record that begins there, as its header has it."""
    return _HEADER + (buffer[at + _HEADER - 2] << 8 | buffer[at + _HEADER - 1])


def _together(buffer: bytearray | bytes, begin: int, end: int, size: int) -> int:
    """Bytes of the run that OpenSSL gets at a time."""
    if end - begin > size <= MOST_TOGETHER // 2 and _are_data(buffer, begin, end - (end - begin) % size, size):
        return MOST_TOGETHER // size * size
    return size


def _are_data(buffer: bytearray | bytes, begin: int, end: int, size: int) -> bool:
    """Whether each datagram is one record of DTLS 1.2 with data, by its header: only then may they be one for OpenSSL.

    After a length that is not the datagram's, or a version that it skips, OpenSSL would read the next record at a wrong place.
    """
    count, length = (end - begin) // size, size - _HEADER
    fields = (0, APPLICATION_DATA), (1, 0xFE), (2, 0xFD), (_HEADER - 2, length >> 8 & 0xFF), (_HEADER - 1, length & 0xFF)
    return length > 0 and all(buffer[begin + at : end : size].count(value) == count for at, value in fields)
