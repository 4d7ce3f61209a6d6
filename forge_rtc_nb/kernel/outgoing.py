"""A value on its way out: copied to where the engine sees it, and what came of it (runs in the kernel)."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import arrays, control
from ..arena import Arena, Extent
from ..arrays import Packed
from ..control import INLINE, Body
from ..errors import MessageTooLarge, RTCError, RTCTimeout
from .engine_client import EngineClient
from .reading import Deadline

_prefix = secrets.token_hex(4)
_numbers = itertools.count(1)

CANCEL_TIMEOUT = 5.0


@dataclass(frozen=True)
class Posted:
    """A value as the engine gets it."""

    header: bytes
    size: int
    body: bytes | Extent

    def lend(self, arena: Arena) -> Body:
        """What to say of the body; from now on the engine gives it back."""
        return self.body if isinstance(self.body, bytes) else arena.lend(self.body)


def post(client: EngineClient, packed: Packed, limit: int) -> Posted:
    """Copy a value to where the engine sees it. `MessageTooLarge` before anything is copied, `MemoryError`."""
    if packed.size > limit:
        raise MessageTooLarge(
            f"this value has {packed.size} bytes, a message may have {limit}: send it in parts, "
            "or raise c.ForgeRTC.max_data_bytes on the server"
        )
    header = arrays.named(packed.header, f"{_prefix}-{next(_numbers)}")
    if packed.size <= INLINE:
        return Posted(header, packed.size, packed.to_bytes())
    extent = client.arena.allocate(packed.size)
    extent.commit(0, packed.size)
    packed.write_into(extent.memory)
    return Posted(header, packed.size, extent)


class Send:
    """One message under way; ``message`` makes it from the number of the request and the body."""

    def __init__(self, client: EngineClient, posted: Posted, message: Callable[[int, Body], control.SendData]) -> None:
        self._client = client
        self.size = posted.size
        self._request = client.prepare()
        try:
            client.send(message(self._request.number, posted.lend(client.arena)))
        except RTCError:
            self.close()
            raise
        except BaseException:
            # An interrupt, and the message may have gone out: its body must stay as it is until the engine gives it back.
            self.abandon()
            raise

    def wait(self, timeout: float | None, step: float | None, tick: Callable[[], None]) -> bool:
        """Block until every receiver has it; false after ``timeout`` seconds. ``tick`` is called every ``step`` seconds."""
        deadline = Deadline(timeout)
        while not self._request.wait(_shorter(deadline.left, step)):
            if deadline.left == 0:
                return False
            tick()
        return True

    def then(self, call: Callable[[], None]) -> None:
        """Call this when it is done, in another thread."""
        self._request.then(call)

    def result(self) -> Any:
        """Errors: the engine's own."""
        return self._request.result()

    def cancel(self) -> list[str]:
        """Stop it; the ids of those who have not taken it, none where all have by now. Errors: the engine's own."""
        self._client.send(control.CancelSend(self._request.number))
        if not self._request.wait(CANCEL_TIMEOUT):
            raise RTCTimeout(f"the engine did not answer within {CANCEL_TIMEOUT:g} s")
        reply = self._request.reply
        if reply is None or reply.error != "send-timeout":
            self._request.result()
            return []
        return list(reply.value or [])

    def abandon(self) -> None:
        """Stop it without waiting for an answer."""
        with contextlib.suppress(RTCError):  # an engine that is gone took the message with it
            self._client.send(control.CancelSend(self._request.number))
        self.close()

    @property
    def sent(self) -> int:
        """Bytes that have left, to the receiver that is the furthest behind."""
        return self._request.sent

    def close(self) -> None:
        """Nobody asks any more; idempotent."""
        self._request.close()


def _shorter(left: float | None, step: float | None) -> float | None:
    return min((seconds for seconds in (left, step) if seconds is not None), default=None)
