"""The streams of others that a room's user reads (runs in the kernel)."""

from __future__ import annotations

from collections.abc import Callable

from .. import control
from ..errors import Forbidden, RTCError, StreamNotFound
from .audio import AudioStream
from .directory import Directory
from .engine_client import ANSWER, EngineClient
from .mixed_audio import MixSource
from .room_video import RoomVideoStream
from .selectors import Found, Selector, Theirs, shows
from .sound_view import SoundView
from .views import View


class RoomStreams:
    """Of one `Room`: one stream for each thing that a user may mean. ``over`` says why the room is over, if it is."""

    def __init__(
        self,
        room_id: str,
        directory: Directory,
        client_of: Callable[[], EngineClient],
        over: Callable[[], RTCError | None],
        report: Callable[[BaseException], None],
    ) -> None:
        self.room_id = room_id
        self.report = report
        self._directory = directory
        self._client_of = client_of
        self._over = over
        self._streams: dict[Selector, RoomVideoStream] = {}
        self._sounds: dict[Selector, AudioStream] = {}
        self._mixed: AudioStream | None = None

    def of(self, selector: Selector) -> RoomVideoStream:
        """The stream that is meant; whether it is there shows when it is read."""
        if selector not in self._streams:
            self._streams[selector] = RoomVideoStream(_Pictures(self, selector))
        return self._streams[selector]

    def constrain(self, found: Found, width: int | None, height: int | None, fps: int | None, timeout: float) -> list[int]:
        """Width, height and rate as they are then. Errors: `Forbidden`, `RTCError`, `RTCTimeout`."""
        who, stream = found
        if not shows(who, self._directory.me):
            raise Forbidden(
                f"{stream.name!r} of {who.name!r} is not of a tab that shows this notebook: only that is for you to set"
            )

        def message(req: int) -> control.Constrain:
            return control.Constrain(req, self.room_id, who.id, stream.id, width, height, fps, timeout)

        return list(self._client_of().request(message, timeout + ANSWER))

    def mute(self, selector: Theirs) -> None:
        """Ask for it to be switched off. Errors: `StreamNotFound`, `RTCError`."""
        who, stream = self.find(selector, None, 0)
        if who.kind == "kernel":
            raise RTCError(f"{stream.name!r} is published by a kernel, {who.name!r}: nobody else can stop it")
        self._client_of().send(control.Mute(self.room_id, who.id, stream.id))

    def sound_of(self, selector: Selector) -> AudioStream:
        """`of`, for sound."""
        if selector not in self._sounds:
            self._sounds[selector] = AudioStream(_Sound(self, selector))
        return self._sounds[selector]

    @property
    def mixed(self) -> AudioStream:
        """All sound of the others."""
        if self._mixed is None:
            self._mixed = AudioStream(MixSource(self._voices, self.report))
        return self._mixed

    def _voices(self) -> dict[tuple[str, str], AudioStream]:
        self._check()
        return {
            (record.id, stream.id): self.sound_of(Theirs("audio", record.id, stream.id))
            for record in self._directory.others()
            for stream in record.streams
            if stream.kind == "audio"
        }

    def stop(self) -> None:
        """Whoever reads one sees its end."""
        if self._mixed is not None:
            self._mixed.stop()
        for stream in list(self._streams.values()):
            stream.stop()
        for sound in list(self._sounds.values()):
            sound.stop()

    def open_view(self, found: Found, pixel_format: str) -> View:
        return self._client_of().open_view(self.room_id, found[0].id, found[1].id, pixel_format)

    def open_sound(self, found: Found) -> SoundView:
        """A voice is the same in both channels."""
        sound_format = "mono" if found[1].source == "microphone" else "stereo"
        return self._client_of().open_sound(self.room_id, found[0].id, found[1].id, sound_format)

    def find(self, selector: Selector, bound: tuple[str, str] | None, timeout: float | None) -> Found:
        """The stream that is meant, ``bound`` before any other; waits for it. `StreamNotFound` says what to do."""
        self._check()
        found = self._directory.wait(lambda: self._over() or self._find_now(selector, bound), timeout)
        self._check()
        if not found:
            raise StreamNotFound(selector.missing(self._directory.others(), self._directory.me))
        result: Found = found
        return result

    def _find_now(self, selector: Selector, bound: tuple[str, str] | None) -> Found | None:
        records = self._directory.others()
        for record in records:
            for stream in record.streams:
                if (record.id, stream.id) == bound:
                    return record, stream
        return selector.find(records, self._directory.me)

    def _check(self) -> None:
        if (over := self._over()) is not None:
            raise over.again()


class _Source:
    """The stream that a selector finds; it stays with that stream until it stops."""

    def __init__(self, streams: RoomStreams, selector: Selector) -> None:
        self._streams = streams
        self._selector = selector
        self._bound: tuple[str, str] | None = None
        """Participant and stream: an id of a stream is unique only within its participant."""

    @property
    def report(self) -> Callable[[BaseException], None]:
        return self._streams.report

    def _find(self, timeout: float | None) -> Found:
        found = self._streams.find(self._selector, self._bound, timeout)
        self._bound = (found[0].id, found[1].id)
        return found

    def describe(self) -> str:
        return f"{self._selector} in room {self._streams.room_id!r}"


class _Pictures(_Source):
    """A `room_video.TabSource`."""

    def open(self, pixel_format: str, timeout: float | None) -> View:
        return self._streams.open_view(self._find(timeout), pixel_format)

    def ask(self, width: int | None, height: int | None, fps: int | None, timeout: float) -> list[int]:
        return self._streams.constrain(self._find(0), width, height, fps, timeout)


class _Sound(_Source):
    """An `audio.SoundSource`."""

    def open(self, timeout: float | None) -> SoundView:
        return self._streams.open_sound(self._find(timeout))
