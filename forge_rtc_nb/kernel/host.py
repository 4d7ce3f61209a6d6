"""What a room gives to the objects that its user holds of it (runs in the kernel)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .engine_client import EngineClient


class Host(Protocol):
    """A room, as its channels and its mapping see it."""

    @property
    def id(self) -> str: ...

    @property
    def client(self) -> EngineClient:
        """Errors: why there is none."""

    def names(self, ids: list[str]) -> list[str]:
        """Of participants; the id of somebody who has left."""

    def run(self, work: Callable[[], None]) -> None:
        """In the room's one thread for callbacks, after those that wait there."""

    def report(self, error: BaseException) -> None:
        """An ``error`` event of the room."""
