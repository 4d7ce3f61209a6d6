"""What a room's kernel publishes there (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ... import control
from ...control_stream import Message
from ...errors import RTCError
from ..engine_client import EngineClient
from .complaints import Report
from .handle import Handle
from .outlet import withdraw
from .plans import Plan


class Publications:
    """Of one `Room`. ``client_of`` raises where there is none."""

    def __init__(self, room_id: str, client_of: Callable[[], EngineClient], report: Report) -> None:
        self._id = room_id
        self._client_of = client_of
        self._report = report
        self._turn = threading.Lock()
        self._live: dict[int, Handle[Any]] = {}

    def publish(self, plan: Plan, timeout: float) -> Any:
        """A new one; an earlier one of that name ends."""
        client = self._client_of()  # errors first: in a forked child the lock may be one that a lost thread holds
        with self._turn:
            return self._publish(client, plan, timeout)

    def _publish(self, client: EngineClient, plan: Plan, timeout: float) -> Any:
        number = client.new_number()
        handle = plan.handle(self._report, lambda: self._forget(number))
        before = [other for other in self._live.values() if other.name == plan.name]
        for other in before:
            other.halt()
        self._live[number] = handle
        try:
            region = client.request(lambda req: plan.message(req, self._id, number), timeout)
            plan.begin(handle, client, number, int(region))
        except BaseException:
            self._live.pop(number, None)
            withdraw(client, number)
            raise
        finally:
            for other in before:
                other.end(RTCError(f"publication {other.name!r} has ended: another one took its name"))
        return handle

    def _forget(self, number: int) -> None:
        self._live.pop(number, None)

    def on_engine(self, message: Message) -> None:
        """In the engine's reader thread."""
        if isinstance(message, control.PublicationState | control.PublicationFault | control.PublicationEnded):
            publication = self._live.get(message.publication)
            if publication is not None:
                publication.on_engine(message)

    def end(self, over: RTCError) -> None:
        """The room is over for this handle."""
        for publication in list(self._live.values()):
            publication.end(over)

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel."""
        for publication in list(self._live.values()):
            publication.abandon(over)
