"""What rooms want to be done, as values for whoever holds the connections; pure, in the process that hosts the rooms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .protocol import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``message`` on these connections."""

    to: tuple[int, ...]
    message: Message


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection with a code out of `protocol.CLOSE_*`; the room has already forgotten it."""

    connection: int
    code: int
    reason: str


Action = Send | Close


def send(to: Iterable[int | None], message: Message) -> list[Action]:
    """Send to those that have a connection, if any has."""
    connections = tuple(connection for connection in to if connection is not None)
    return [Send(connections, message)] if connections else []
