"""What tests of rooms need: events as a list, a slow server, what of ours is running (test process)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

import forge_rtc_nb as rtc
from tests.support import JupyterProcess

Join = Callable[..., rtc.Room]


def engine_pids() -> list[int]:
    """The engine processes of this process."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends at this moment
            if "forge_rtc_nb.engine" in child.cmdline():
                found.append(child.pid)
    return found


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("forge-rtc")]


@contextmanager
def watching(room: rtc.Room) -> Iterator[list[tuple[str, Any]]]:
    """Every event of the room, as (name, argument), while the context lasts."""
    seen: list[tuple[str, Any]] = []
    for event in ("joined", "left", "updated", "stream", "stream-ended", "state", "error"):
        room.on(event, lambda argument, event=event: seen.append((event, argument)))
    yield seen


def fail(argument: object) -> None:
    raise KeyError("missing")


def names(room: rtc.Room) -> list[str]:
    return [person.name for person in room.participants]


class Relay:
    """A TCP relay to the server that holds connections back until `open`; a server that is slow to answer."""

    def __init__(self, server: JupyterProcess) -> None:
        self._target = ("127.0.0.1", server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._gate = threading.Event()
        self.called = threading.Event()
        """Somebody has connected."""
        self.done = threading.Event()
        """That connection is closed."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def open(self) -> None:
        self._gate.set()

    def _serve(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        self.called.set()
        with near, socket.socket() as far:
            self._ends = [near, far]
            self._gate.wait(20)
            far.connect(self._target)
            back = threading.Thread(target=self._copy, args=(far, near))
            back.start()
            self._copy(near, far)
            back.join()
        self.done.set()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exc: object) -> None:
        self._gate.set()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):  # closed already
                end.shutdown(socket.SHUT_RDWR)  # close() alone does not wake who waits in accept() or recv()
        self._listener.close()
        self._thread.join()
