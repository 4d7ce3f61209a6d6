"""Bytes on their way to the engine: at once where that is possible, else by a thread (runs in the kernel)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from queue import SimpleQueue

DONT_WAIT = getattr(socket, "MSG_DONTWAIT", None)
"""Where the system has it; without, everything goes by the thread."""


class Mailbox:
    """`put` never blocks, and may be called from anywhere, the garbage collector too, which may interrupt another `put`.

    To write at once spares the thread's turn: while other threads compute in Python, each turn takes five milliseconds. The
    main thread never does, as an interrupt (Ctrl-C) within a call of the socket could leave half a message there.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        """Of whoever writes. What waits is taken out only in that turn, so that nothing overtakes anything."""
        self._waiting: deque[bytes] = deque()
        self._news: SimpleQueue[bool] = SimpleQueue()

    def put(self, data: bytes) -> None:
        if self._may_write and self._turn.acquire(blocking=False):
            try:
                if self._waiting:
                    self._waiting.append(data)
                elif data := self._write_some(data):
                    self._waiting.appendleft(data)  # before what came meanwhile: a part of it may be gone
            finally:
                self._turn.release()
        else:
            self._waiting.append(data)
        if data:
            self._news.put(True)

    @property
    def _may_write(self) -> bool:
        return DONT_WAIT is not None and not self._waiting and threading.current_thread() is not threading.main_thread()

    def _write_some(self, data: bytes) -> bytes:
        """What is left of it."""
        assert DONT_WAIT is not None
        try:
            return data[self._connection.send(data, DONT_WAIT) :]
        except (BlockingIOError, InterruptedError):
            return data
        except OSError:
            return b""  # the engine is gone: the reader thread sees the same end, and knows the cause

    def run(self) -> None:
        """The thread: write what waits, until `close`."""
        with contextlib.suppress(OSError):
            while self._news.get():
                with self._turn:
                    while self._waiting:
                        self._connection.sendall(self._waiting[0])
                        self._waiting.popleft()

    def close(self) -> None:
        """The thread ends after what it is at."""
        self._news.put(False)
