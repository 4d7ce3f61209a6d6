"""The engine's end of the control socket: messages in on the loop, messages out from any thread (engine process)."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Hashable

from ..control import Control, ParticipantUpdated, Received
from ..control_stream import Message, Unpacker, pack

logger = logging.getLogger(__name__)

MAX_WAITING = 64 * 1024 * 1024
"""Bytes kept for a kernel that does not read. Frames are announced once until looked at, and of each participant only the
newest state waits, however often others change it: only a broken kernel gets here. Messages of channels do not count: the
channels' queues bound them, and a kernel may be busy for long."""


def _subject(message: Control) -> Hashable:
    """What a message is about: of two that wait with the same subject, the newer one replaces the older."""
    if isinstance(message, ParticipantUpdated):
        return message.room, message.participant.id
    return object()


class Link:
    """Wraps a connected stream socket. `post` never blocks; `on_end` is called once when the kernel is gone."""

    def __init__(self, end: socket.socket, receive: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        end.setblocking(False)
        self._socket = end
        self._receive = receive
        self._on_end = on_end
        self._unpacker = Unpacker()
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, tuple[bytes, int]] = {}
        """Messages, and how many bytes of each count."""
        self._partial = b""
        """The rest of a message that the socket took in part."""
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._readable)

    def post(self, message: Control) -> None:
        """Send, from any thread: at once where the socket takes it, else when it does again."""
        data = pack(message)
        with self._lock:
            if self._waiting or self._partial:
                self._keep(_subject(message), data, 0 if isinstance(message, Received) else len(data))
            else:
                self._partial = self._send_now(data)
            if self._waiting or self._partial:
                self._loop.call_soon_threadsafe(self._want_write)

    def _keep(self, subject: Hashable, data: bytes, counted: int) -> None:
        self._bytes += counted - self._waiting.get(subject, (b"", 0))[1]
        self._waiting[subject] = data, counted

    def _send_now(self, data: bytes) -> bytes:
        try:
            return data[self._socket.send(data) :]
        except BlockingIOError:
            return data
        except OSError:
            return b""  # the kernel is gone; _readable notices

    def _want_write(self) -> None:
        if self._bytes > MAX_WAITING:
            self._end()
        elif self._socket.fileno() >= 0:
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        with self._lock:
            while self._waiting or self._partial:
                data, counted = (self._partial, 0) if self._partial else self._waiting.pop(next(iter(self._waiting)))
                self._bytes -= counted
                self._partial = self._send_now(data)
                if self._partial:
                    return
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            messages = list(self._unpacker.feed(data))
        except ValueError:
            logger.exception("what the kernel sends is not ours")
            data = b""
        if not data:
            self._end()
            return
        for message in messages:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        try:
            self._receive(message)
        except Exception:
            logger.exception("a %s of the kernel could not be handled", type(message).__name__)  # the next one still can

    def _end(self) -> None:
        self.close()
        self._on_end()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
