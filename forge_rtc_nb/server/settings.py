"""The limits that the extension's traits set, as one immutable value; Jupyter server process."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol import MAX_MESSAGE, Limits
from ..rooms import RoomLimits
from ..tickets import MAX_RESUME_SECONDS, MAX_TICKET_SECONDS


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is a trait of `ForgeRTC`, described there."""

    max_message_bytes: int = MAX_MESSAGE
    hello_seconds: float = 5.0
    burst: int = 100
    messages_per_second: float = 50.0
    outbound_bytes: int = 1024 * 1024
    max_data_bytes: int = 1024**3
    max_shared_bytes: int = 1024**3
    max_rooms: int = 1000
    max_participants: int = 64
    max_connections_per_user: int = 16
    max_pending_per_address: int = 32
    ping_seconds: float = 10.0
    dead_seconds: float = 30.0
    resume_seconds: float = 30.0
    empty_room_seconds: float = 60.0
    ticket_seconds: float = MAX_TICKET_SECONDS
    resume_token_seconds: float = MAX_RESUME_SECONDS

    def rooms(self) -> RoomLimits:
        """The part that the rooms enforce."""
        return RoomLimits(
            rooms=self.max_rooms,
            participants=self.max_participants,
            per_user=self.max_connections_per_user,
            resume_seconds=self.resume_seconds,
            empty_seconds=self.empty_room_seconds,
            buffer_bytes=self.outbound_bytes,
        )

    def announced(self) -> Limits:
        """The part that a welcome tells the clients."""
        return Limits(
            message_bytes=self.max_message_bytes,
            messages_per_second=self.messages_per_second,
            burst=self.burst,
            participants=self.max_participants,
            resume_seconds=self.resume_seconds,
            data_bytes=self.max_data_bytes,
            shared_bytes=self.max_shared_bytes,
        )
