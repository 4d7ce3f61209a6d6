"""The exceptions that users see; every process uses them, none of them imports anything of ours."""

from __future__ import annotations

from typing import Self


class RTCError(Exception):
    """Base of everything that forge_rtc_nb raises on purpose; the text says what to do about it."""

    code = "error"
    """The code that stands for this error in a signaling ``error`` message."""

    def again(self) -> Self:
        """A copy to raise: one exception that is raised again and again collects all those tracebacks, and what they hold."""
        return type(self)(*self.args)


class SignalingError(RTCError):
    """The signaling endpoint could not be reached, or it refused what was sent."""

    code = "signaling"


class ConnectionFailed(RTCError):
    """No connection to the sender of a stream comes about; a new try is under way. Also an ``"error"`` event of the room."""

    code = "connection-failed"


class RTCTimeout(RTCError, TimeoutError):
    """A call did not finish within its ``timeout``."""

    code = "timeout"


class SendTimeout(RTCTimeout):
    """Not every receiver took a message within its ``timeout``; the text names the slow ones. The others have it."""

    code = "send-timeout"


class ChannelClosed(RTCError):
    """The channel was closed, by `Channel.close` or with its room."""

    code = "channel-closed"


class ChannelOptions(RTCError, ValueError):
    """Others have a channel of this name open with other options; the text says which."""

    code = "channel-options"


class MessageTooLarge(RTCError, ValueError):
    """A message, or the shared mapping, would have more bytes than the server's settings allow."""

    code = "message-too-large"


class EngineDied(RTCError):
    """The engine process of this kernel ended; the text names the cause. The next ``join`` starts a new one."""

    code = "engine-died"


class RoomNotFound(RTCError):
    """There is no such room, or you may not see it."""

    code = "room-not-found"


class RoomExists(RTCError):
    """A room with this id is already open."""

    code = "room-exists"


class RoomFull(RTCError):
    """The room, the server, or your share of its connections is used up."""

    code = "room-full"


class NotInRoom(RTCError):
    """This handle's room was left, or was replaced by a later ``join``."""

    code = "not-in-room"


class PeerNotFound(RTCError):
    """A client of the signaling protocol wrote to nobody who is in the room; it gets the code."""

    code = "peer-not-found"


class InvalidRoomId(RTCError):
    """A room id is 1 to 64 characters out of ``A-Z a-z 0-9 . _ -``."""

    code = "invalid-room-id"


class InvalidSDP(RTCError):
    """A session description is malformed or over the limits (RFC 8866)."""

    code = "invalid-sdp"


class InvalidCandidate(RTCError):
    """An ICE candidate is malformed (RFC 8839)."""

    code = "invalid-candidate"


class InvalidMessage(RTCError):
    """A signaling message is not JSON, not of a known type, or its fields do not fit."""

    code = "invalid-message"


class StreamNotFound(RTCError):
    """No stream matches; the text lists the candidates, or says how to start one."""

    code = "stream-not-found"


class Unauthorized(RTCError):
    """No valid credentials: neither a Jupyter login or token, nor a valid ticket."""

    code = "unauthorized"


class Forbidden(RTCError):
    """You are known, but may not do this."""

    code = "forbidden"


class InvalidConfig(RTCError):
    """A setting cannot be used; the text names it."""

    code = "invalid-config"
