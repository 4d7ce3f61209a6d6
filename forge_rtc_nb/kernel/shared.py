"""The room's shared mapping as the notebook's user holds it (runs in the kernel)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from .. import control
from ..errors import RTCError, RTCTimeout
from .host import Host
from .outgoing import post
from .values import pack, unpack

logger = logging.getLogger("forge_rtc_nb")

SYNC_TIMEOUT = 5.0
"""Seconds to wait for the values that others have."""
WRITE_TIMEOUT = 30.0

Handler = Callable[[str, Any, str], Any]


class SharedHost(Host, Protocol):
    """What the mapping needs of its room."""

    @property
    def shared_limit(self) -> int:
        """Bytes that one value may have."""


@dataclass(frozen=True, slots=True)
class _Stored:
    header: bytes
    body: bytes | memoryview
    writer: str
    time: float


class SharedMapping(MutableMapping[str, Any]):
    """Values by key that everybody in the room sees, who comes later too; made by `Room.shared`.

    Keys are text of 1 to 256 characters, values what a `Channel` can send; arrays that you read are read-only views. The last
    writer wins. To change a part of a value write it anew: ``room.shared["d"] = {**room.shared["d"], "a": 2}``. Values stay
    while any kernel is in the room. All values together have at most the bytes that the server allows.

    >>> room.shared["w"] = np.eye(3)
    >>> room.shared["w"]
    >>> @room.shared.on_change
    ... def show(key, value, writer): print(writer, "wrote", key)
    """

    def __init__(self, host: SharedHost) -> None:
        self._host = host
        self._values: dict[str, _Stored] = {}
        self._handlers: list[Handler] = []
        self._lock = threading.Lock()
        self._news: dict[str, str] = {}
        """Keys whose change the functions were not told yet, and who wrote: of several changes the last one."""
        self._over: RTCError | None = None

    def open(self) -> None:
        """Have what there is: returns when the values of those who are in the room are here, or after `SYNC_TIMEOUT`."""
        self._host.client.request(lambda req: control.OpenShared(req, self._host.id, SYNC_TIMEOUT), SYNC_TIMEOUT + 5.0)

    def __getitem__(self, key: str) -> Any:
        self._check()
        stored = self._values[key]
        try:
            return unpack(stored.header, stored.body)[1]
        except (ValueError, ImportError) as error:
            raise RTCError(f"the value of {key!r} cannot be used: {error}") from None

    def __setitem__(self, key: str, value: Any) -> None:
        """Returns when it is written; others see it as soon as it has reached them.

        Errors: `TypeError` and `ValueError` (what cannot be sent), `MessageTooLarge`, `NotInRoom`, `RTCTimeout`, `MemoryError`.
        """
        self._check()
        if not isinstance(key, str):
            raise TypeError(f"a key of the shared mapping is text, not {key!r}")
        client = self._host.client
        posted = post(client, pack(value), self._host.shared_limit)
        self._request(
            lambda req: control.SetShared(
                req, self._host.id, key, time.time(), posted.header, posted.size, posted.lend(client.arena)
            )
        )

    def __delitem__(self, key: str) -> None:
        self._check()
        if key not in self._values:
            raise KeyError(key)
        self._request(lambda req: control.SetShared(req, self._host.id, key, time.time(), None))

    def __iter__(self) -> Iterator[str]:
        self._check()
        return iter(list(self._values))

    def __len__(self) -> int:
        self._check()
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        self._check()
        return key in self._values

    def __repr__(self) -> str:
        return f"<SharedMapping of room {self._host.id!r}: {len(self._values)} keys>"

    def writer(self, key: str) -> str:
        """The name of whoever wrote a value last; the id of somebody who has left."""
        self._check()
        return self._host.names([self._values[key].writer])[0]

    def on_change(self, function: Handler) -> Handler:
        """Call ``function(key, value, writer)`` after each change, your own too, in the room's one thread for callbacks; also a
        decorator. ``value`` is None where the key was deleted, ``writer`` a name. Of several changes of a key that come while
        it runs it sees the last one."""
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        self._check()
        self._handlers.append(function)
        return function

    # What follows is for the room.

    def apply(self, message: control.SharedChanged, body: bytes | memoryview) -> None:
        """A change that the engine tells, in its reader thread."""
        if message.header is None:
            self._values.pop(message.key, None)
        else:
            self._values[message.key] = _Stored(message.header, body, message.writer, message.time)
        if self._handlers:
            with self._lock:
                first, self._news[message.key] = not self._news, message.writer
            if first:
                self._host.run(self._tell)

    def end(self, over: RTCError) -> None:
        """The room is over for this handle."""
        self._over = over
        self._values = {}

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel."""
        self._over = over

    def _check(self) -> None:
        if self._over is not None:
            raise self._over.again()

    def _request(self, message: Callable[[int], control.SetShared]) -> None:
        request = self._host.client.start(message)
        try:
            if not request.wait(WRITE_TIMEOUT):
                raise RTCTimeout(f"the engine did not answer within {WRITE_TIMEOUT:g} s")
            if request.reply is not None and request.reply.error == "KeyError":
                raise KeyError(request.reply.message)
            if request.reply is not None and request.reply.error == "ValueError":
                raise ValueError(request.reply.message)
            request.result()
        finally:
            request.close()

    def _tell(self) -> None:
        with self._lock:
            news, self._news = self._news, {}
        for key, writer in news.items():
            stored = self._values.get(key)
            name = self._host.names([writer])[0]
            for handler in list(self._handlers):
                self._call(handler, key, stored, name)

    def _call(self, handler: Handler, key: str, stored: _Stored | None, writer: str) -> None:
        try:
            handler(key, None if stored is None else unpack(stored.header, stored.body)[1], writer)
        except Exception as error:
            logger.exception("a function for changes of the shared mapping failed")
            self._host.report(error)
