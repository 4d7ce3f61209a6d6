"""WebRTC for Jupyter notebooks: live webcam frames as numpy arrays, rooms that notebooks and browsers share.

Importing this package imports nothing heavy: names are looked up when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .errors import (
        ChannelClosed,
        ChannelOptions,
        ConnectionFailed,
        EngineDied,
        Forbidden,
        InvalidCandidate,
        InvalidConfig,
        InvalidMessage,
        InvalidRoomId,
        InvalidSDP,
        MessageTooLarge,
        NotInRoom,
        PeerNotFound,
        RoomExists,
        RoomFull,
        RoomNotFound,
        RTCError,
        RTCTimeout,
        SendTimeout,
        SignalingError,
        StreamNotFound,
        Unauthorized,
    )
    from .kernel.audio import AudioStream
    from .kernel.channels import Channel, Message
    from .kernel.frames import Frame
    from .kernel.joining import join
    from .kernel.participants import Participant, StreamInfo
    from .kernel.publishing.audio_publication import AudioPublication, AudioPublicationStats
    from .kernel.publishing.mapped import MappedStream
    from .kernel.publishing.mapped_audio import MappedAudioStream
    from .kernel.publishing.publication import Publication, PublicationStats
    from .kernel.room import Room
    from .kernel.room_video import RoomVideoStream, VideoSettings
    from .kernel.shared import SharedMapping
    from .kernel.streams import VideoStream
    from .kernel.synthetic import synthetic
    from .server import get_webrtc

_HOMES = {
    "join": "kernel.joining",
    "synthetic": "kernel.synthetic",
    "Channel": "kernel.channels",
    "Message": "kernel.channels",
    "SharedMapping": "kernel.shared",
    "RoomVideoStream": "kernel.room_video",
    "VideoSettings": "kernel.room_video",
    "Room": "kernel.room",
    "Participant": "kernel.participants",
    "StreamInfo": "kernel.participants",
    "AudioPublication": "kernel.publishing.audio_publication",
    "AudioPublicationStats": "kernel.publishing.audio_publication",
    "AudioStream": "kernel.audio",
    "MappedAudioStream": "kernel.publishing.mapped_audio",
    "MappedStream": "kernel.publishing.mapped",
    "Publication": "kernel.publishing.publication",
    "PublicationStats": "kernel.publishing.publication",
    "VideoStream": "kernel.streams",
    "Frame": "kernel.frames",
    "get_webrtc": "server",
}

__all__ = [
    "AudioPublication",
    "AudioPublicationStats",
    "AudioStream",
    "Channel",
    "ChannelClosed",
    "ChannelOptions",
    "ConnectionFailed",
    "EngineDied",
    "Forbidden",
    "Frame",
    "InvalidCandidate",
    "InvalidConfig",
    "InvalidMessage",
    "InvalidRoomId",
    "InvalidSDP",
    "MappedAudioStream",
    "MappedStream",
    "Message",
    "MessageTooLarge",
    "NotInRoom",
    "Participant",
    "PeerNotFound",
    "Publication",
    "PublicationStats",
    "RTCError",
    "RTCTimeout",
    "Room",
    "RoomExists",
    "RoomFull",
    "RoomNotFound",
    "RoomVideoStream",
    "SendTimeout",
    "SharedMapping",
    "SignalingError",
    "StreamInfo",
    "StreamNotFound",
    "Unauthorized",
    "VideoSettings",
    "VideoStream",
    "get_webrtc",
    "join",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Jupyter Server's hook."""
    from .server.app import ForgeRTC

    return [{"module": "forge_rtc_nb.server.app", "app": ForgeRTC}]


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext forge_rtc_nb``: registers ``%rtc``; opens nothing."""
    from .magics import RTCMagics

    shell.register_magics(RTCMagics)
