"""One viewer of a publication: the frames that wait for its connection (engine process, event loop)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..aiortc_compat.packets import Packets

MOST_WAITING = 8
"""Frames that wait for a viewer; one that does not keep up goes on with a keyframe."""


class Encoding(Protocol):
    """What a viewer needs of the encoder that it shares with others."""

    codec: str

    def join(self, viewer: Viewer) -> None: ...
    def leave(self, viewer: Viewer) -> None: ...
    def ask_keyframe(self, joined: bool = False) -> None: ...
    def report_bitrate(self, viewer: Viewer, bitrate: float) -> None: ...
    def report_loss(self, viewer: Viewer, lost: int, highest: int) -> None: ...


@dataclass(slots=True)
class Watching:
    """What a viewer got."""

    frames: int = 0
    dropped: int = 0
    """Frames that it did not get: it did not keep up, was below the floor, or waited for a keyframe."""
    keyframe_requests: int = 0


class Viewer:
    """The source of one sender's frames (`packet_sender.FrameSource`). Drops what is too much, and never blocks the encoder."""

    def __init__(self, encoding: Callable[[str], Encoding], closed: Callable[[Viewer], None]) -> None:
        self.watching = Watching()
        self._encoding_for = encoding
        self._when_closed = closed
        self._encoding: Encoding | None = None
        self._waiting: deque[Packets] = deque()
        self._news = asyncio.Event()
        self._has_picture = self._needs_keyframe = self._closed = False
        self.keyframes_only = False
        """The path to it carries less than a stream needs."""

    async def next_frame(self, codec: str) -> Packets | None:
        """Waits for one; None when the viewer is closed. Joins the encoder of this codec at the first call."""
        if not self._closed and (self._encoding is None or self._encoding.codec != codec):
            self._change(codec)
        while not self._waiting and not self._closed:
            self._news.clear()
            if self._needs_keyframe and not self.keyframes_only and self._encoding is not None:
                self._encoding.ask_keyframe(joined=not self._has_picture)
            await self._news.wait()
        if self._closed:
            return None
        self.watching.frames += 1
        return self._waiting.popleft()

    def _change(self, codec: str) -> None:
        self._leave()
        self._needs_keyframe, self._has_picture = True, False
        self._encoding = self._encoding_for(codec)
        self._encoding.join(self)

    def offer(self, frame: Packets) -> None:
        """The next frame of the encoder."""
        if len(self._waiting) >= MOST_WAITING:
            self.watching.dropped += len(self._waiting)
            self._waiting.clear()
            # It asks for a keyframe when it has sent what it is at: until then it would be dropped again.
            self._needs_keyframe = True
        if not frame.keyframe and (self._needs_keyframe or self.keyframes_only):
            self._needs_keyframe = True
            self.watching.dropped += 1
            return
        self._needs_keyframe, self._has_picture = False, True
        self._waiting.append(frame)
        self._news.set()

    def ask_keyframe(self) -> None:
        """Its receiver did (PLI, FIR)."""
        self.watching.keyframe_requests += 1
        if self._encoding is not None and not self.keyframes_only:
            self._encoding.ask_keyframe()

    def report_bitrate(self, bitrate: float) -> None:
        """Bits a second that its receiver estimates."""
        if self._encoding is not None:
            self._encoding.report_bitrate(self, bitrate)

    def report_loss(self, lost: int, highest: int) -> None:
        """Packets that its receiver has missed up to now, and the highest sequence number that came."""
        if self._encoding is not None:
            self._encoding.report_loss(self, lost, highest)

    def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._leave()
        self._news.set()
        self._when_closed(self)

    def _leave(self) -> None:
        if self._encoding is not None:
            self._encoding.leave(self)
            self._encoding = None
        self._waiting.clear()
