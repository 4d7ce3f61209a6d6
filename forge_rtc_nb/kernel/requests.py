"""A request to the engine under way, and what came of it (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from .. import control, errors
from ..errors import RTCError

_ERRORS: dict[str, type[RTCError]] = {
    cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, RTCError)
}


def error_of(code: str, message: str) -> RTCError:
    """The exception that stands for an error code of the engine or the server."""
    if code == "memory":
        return RTCError(message)
    return _ERRORS.get(code, RTCError)(message)


class Asked(Protocol):
    """The client that sent it."""

    @property
    def death(self) -> RTCError: ...

    def forget(self, number: int) -> None: ...


class Request:
    """One request under way, and what came of it."""

    def __init__(self, number: int, client: Asked) -> None:
        self.number = number
        self.reply: control.Reply | None = None
        self.sent = 0
        """Of a message's body, in bytes."""
        self._client = client
        self._done = threading.Event()
        self._then: Callable[[], None] | None = None

    def wait(self, timeout: float | None) -> bool:
        """False after ``timeout`` seconds."""
        return self._done.wait(timeout)

    def then(self, call: Callable[[], None]) -> None:
        """Call this once it is done, in the client's reader thread, or at once."""
        self._then = call
        if self._done.is_set():
            call()

    def result(self) -> Any:
        """The reply's value. Errors: the engine's own, `EngineDied`, `NotInRoom`."""
        if self.reply is None:
            raise self._client.death
        if self.reply.error is not None:
            raise error_of(self.reply.error, self.reply.message)
        return self.reply.value

    def tell(self, message: control.Reply | control.SendProgress) -> None:
        """What the engine says of it."""
        if isinstance(message, control.Reply):
            self.end(message)
        else:
            self.sent = message.sent

    def end(self, reply: control.Reply | None) -> None:
        """The engine answered, or is gone."""
        self.reply = reply
        self._done.set()
        if self._then is not None:
            self._then()

    def close(self) -> None:
        self._client.forget(self.number)
