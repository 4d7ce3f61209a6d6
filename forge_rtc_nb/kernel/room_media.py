"""What a room's user sees, hears, shows and plays there: a part of `Room` (runs in the kernel)."""

from __future__ import annotations

from typing import Any, Literal, overload

from .audio import AudioStream
from .participants import Participant
from .publishing.audio_publication import AudioPublication
from .publishing.plans import PicturePlan, SoundPlan, is_sound
from .publishing.publication import Publication
from .publishing.publications import Publications
from .room_streams import RoomStreams
from .room_video import RoomVideoStream
from .selectors import FIRST, Own, Theirs


class RoomMedia:
    """The base of `Room`."""

    _streams: RoomStreams
    _publications: Publications

    def _check(self) -> None:
        """Raise why the room is over, if it is."""
        raise NotImplementedError

    @property
    def camera(self) -> RoomVideoStream:
        """The camera of a browser tab that shows this notebook: the one switched on last, for as long as it is on.

        Returns at once; reading waits for a person to click Camera in the widget.
        """
        self._check()
        return self._streams.of(Own("camera"))

    @property
    def screen(self) -> RoomVideoStream:
        """The screen or window that a browser tab with this notebook shares: the one shared last, for as long as it is.

        Returns at once; reading waits for a person to click Share screen in the widget.
        """
        self._check()
        return self._streams.of(Own("screen"))

    @property
    def microphone(self) -> AudioStream:
        """The microphone of a browser tab that shows this notebook: the one switched on last, for as long as it is on.

        Returns at once; reading waits for a person to click Microphone in the widget.
        """
        self._check()
        return self._streams.sound_of(Own("microphone"))

    def audio(self, who: str | Participant | None = None, stream: str | None = None) -> AudioStream:
        """The sound of a participant, as `video`: the microphone, or what ``stream`` names. Without ``who`` that of all the
        others, mixed to 2 channels, whoever comes and goes.

        Returns at once; reading waits, and raises `StreamNotFound` with the candidates. The mix has silence instead.
        """
        self._check()
        if who is None:
            if stream is not None:
                raise ValueError("a stream is somebody's: say who, too")
            return self._streams.mixed
        return self._streams.sound_of(Theirs("audio", who.id if isinstance(who, Participant) else who, stream))

    def video(self, who: str | Participant, stream: str | None = None) -> RoomVideoStream:
        """The video of a participant, named by id, name or user; ``stream`` picks one by name where there are several.

        Returns at once; reading waits, and raises `StreamNotFound` with the candidates.
        """
        self._check()
        return self._streams.of(Theirs("video", who.id if isinstance(who, Participant) else who, stream))

    def mute(self, who: str | Participant, kind: Literal["audio", "video"] = "audio") -> None:
        """Ask a participant's tab to switch its microphone off, or its camera. ``who`` as in `video`.

        Anybody in the room may ask. The tab does so and tells its person who asked, who may switch it on again; what became of
        it is in `Room.participants`. Errors: `StreamNotFound` (it is off already), `RTCError` (a kernel publishes it),
        `NotInRoom`.
        """
        self._check()
        if kind not in FIRST:
            raise ValueError(f"kind {kind!r}: use 'audio' or 'video'")
        self._streams.mute(Theirs(kind, who.id if isinstance(who, Participant) else who))

    @overload
    def publish(
        self, source: Any, *, name: str, rate: int, bitrate: int | None = None, timeout: float = 10.0
    ) -> AudioPublication: ...

    @overload
    def publish(
        self, source: AudioStream, *, name: str, bitrate: int | None = None, timeout: float = 10.0
    ) -> AudioPublication: ...

    @overload
    def publish(
        self,
        source: Any,
        *,
        name: str,
        fps: float = 30,
        bitrate: int | None = None,
        codec: str | None = None,
        timeout: float = 10.0,
    ) -> Publication: ...

    def publish(
        self,
        source: Any,
        *,
        name: str,
        fps: float | None = None,
        bitrate: int | None = None,
        codec: str | None = None,
        rate: int | None = None,
        timeout: float = 10.0,
    ) -> Publication | AudioPublication:
        """Send pictures or sound to everybody in the room: a tile or a voice in their widgets, a stream in their kernels.

        Pictures: ``source`` is an array, a still that `Publication.frame` replaces; a function that returns one; a generator or
        an async generator of them (which runs in an event loop of its own); a matplotlib ``Figure``, rendered again when it
        changes; or a `VideoStream`, such as ``room.camera.map(fn)``. Arrays are (height, width) for gray, or (height, width, 3
        or 4) for RGB and RGBA (alpha is ignored): uint8, bool, or floats from 0 to 1, 2 to 8192 pixels a side, of another size
        each time if you like. At most ``fps`` pictures a second (30) are taken, and none while nobody watches. ``codec`` is
        ``"H264"`` or ``"VP8"``; None for what is usual. A viewer whose connection has room from a stream that it watches no
        more gets this one in the codec of that.

        Sound, where ``rate`` says how many samples a second there are (8000 to 192000): an array (n,), (n, 1) or (n, 2) of
        floats from -1 to 1 or of int16, which is played once, and `AudioPublication.write` more; a function that is called with
        a number of samples and returns them; or a generator or async generator of arrays. An `AudioStream`, such as
        ``room.microphone.map(fn)``, has its own rate. All but arrays are asked for more only while somebody listens.

        ``bitrate`` in bits a second, at most; None for what is usual. What the source raises, and what is no picture or sound,
        is an ``"error"`` event and in the log, once. A name in use is replaced.

        Errors: `TypeError`, `ValueError` (no such source, picture, sound or option), `NotInRoom`, `RTCTimeout`, `EngineDied`.
        """
        if is_sound(source, rate):
            if fps is not None or codec is not None:
                raise TypeError("fps and codec are for pictures: leave them out for sound")
            return self._publications.publish(SoundPlan(source, name, rate, bitrate), timeout)  # type: ignore[no-any-return]
        plan = PicturePlan(source, name, 30 if fps is None else fps, bitrate, codec)
        return self._publications.publish(plan, timeout)  # type: ignore[no-any-return]
