"""Encoded frames to pictures, with no frame held back, in one thread a stream (engine process)."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from .assembly import EncodedFrame

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90000)
_DECODERS = {"VP8": "libvpx", "H264": "h264"}
_IDR, _SPS = 5, 7
MAX_PIXELS = 8192 * 4096
"""What fits a slot of the ring; larger pictures are not decoded at all."""
MAX_BACKLOG = 60
"""Encoded frames that may wait for the decoder, two seconds at 30 fps."""
KEYFRAME_INTERVAL = 0.3
"""Seconds between two requests for a keyframe."""

Deliver = Callable[[av.VideoFrame, EncodedFrame, bool], None]
"""Takes a picture, the frame it came from, and whether it is the newest; called in the decoder thread."""


def is_keyframe(codec: str, data: bytes) -> bool:
    """True where decoding can begin with this frame: RFC 6386 section 9.1 (VP8), RFC 6184 (an IDR or its SPS)."""
    if codec == "VP8":
        return len(data) > 0 and not data[0] & 1
    position = data.find(b"\0\0\1")
    while 0 <= position < len(data) - 3:
        if data[position + 3] & 0x1F in (_IDR, _SPS):
            return True
        position = data.find(b"\0\0\1", position + 3)
    return False


def _vp8_pixels(keyframe: bytes) -> int:
    """Size of a VP8 keyframe in pixels (RFC 6386 section 9.1): libvpx takes the memory for it before anybody can ask."""
    if len(keyframe) < 10:
        return 0
    width, height = (int.from_bytes(keyframe[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height


class PictureDecoder:
    """One codec's decoder in low-delay mode; after a gap it shows nothing until the next keyframe."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        context = av.CodecContext.create(_DECODERS[codec], "r")
        assert isinstance(context, VideoCodecContext)
        # Frame threads hold pictures back; slices do not, and one thread is enough for a camera.
        context.thread_count = 1
        context.flags |= Flags.low_delay
        context.options = {"max_pixels": str(MAX_PIXELS)}
        self._context = context
        self._wait_for_keyframe = True

    def decode(self, frame: EncodedFrame) -> list[av.VideoFrame]:
        """The pictures in it; `av.FFmpegError` where it is damaged."""
        if frame.after_gap:
            self._wait_for_keyframe = True
        if self._wait_for_keyframe:
            if not is_keyframe(self.codec, frame.data):
                return []
            if self.codec == "VP8" and _vp8_pixels(frame.data) > MAX_PIXELS:
                logger.info("a picture of more than %d pixels is left out", MAX_PIXELS)
                return []
            self._wait_for_keyframe = False
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.timestamp, TIME_BASE
        return self._context.decode(packet)

    def skip(self) -> None:
        """Leave frames out: decoding goes on with the next keyframe."""
        self._wait_for_keyframe = True

    @property
    def waiting(self) -> bool:
        """True while only a keyframe can help."""
        return self._wait_for_keyframe


class DecoderThread:
    """Takes (codec, frame) from ``source`` until None comes, and hands each picture to ``deliver``.

    ``source`` is fed by the network: the pictures of a backlog are decoded (later ones need them) but delivered as stale.
    """

    def __init__(
        self,
        source: queue.Queue[tuple[RTCRtpCodecParameters, EncodedFrame] | None],
        deliver: Deliver,
        ask_keyframe: threading.Event,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._source = source
        self._deliver = deliver
        self._ask_keyframe = ask_keyframe
        self._wanted = wanted
        self._decoder: PictureDecoder | None = None
        self._asked = 0.0

    def run(self) -> None:
        while (task := self._source.get()) is not None:
            codec, first = task
            frames = [first, *first.more]
            for position, frame in enumerate(frames):
                fresh = position == len(frames) - 1 and self._source.empty()
                self._decode(codec.name, frame, fresh)

    def _decode(self, codec: str, frame: EncodedFrame, fresh: bool) -> None:
        if codec not in _DECODERS:
            return
        if self._decoder is None or self._decoder.codec != codec:
            self._decoder = PictureDecoder(codec)
        if not self._wanted():
            self._decoder.skip()
            return
        if self._source.qsize() > MAX_BACKLOG:
            self._decoder.skip()  # slower than the sender: rather a gap than memory and delay that grow
            self._ask()
            return
        try:
            pictures = self._decoder.decode(frame)
        except av.FFmpegError as error:
            logger.info("a %s frame could not be decoded: %s", codec, error)
            self._ask()
            return
        if self._decoder.waiting:
            self._ask()
        try:
            for picture in pictures:
                self._deliver(picture, frame, fresh)
        except Exception:
            logger.exception("a picture could not be handed on")  # a dead thread would be a stream that just stands still

    def _ask(self) -> None:
        """Ask for a keyframe, again only when the last request had time to be answered."""
        now = time.monotonic()
        if now - self._asked > KEYFRAME_INTERVAL:
            self._asked = now
            self._ask_keyframe.set()
