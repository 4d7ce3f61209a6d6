"""Which stream a user means by ``room.camera`` or ``room.video(who)`` (runs in the kernel; pure)."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol import Participant, Stream
from .participants import match

Found = tuple[Participant, Stream]


@dataclass(frozen=True)
class Camera:
    """The camera switched on last in a tab that shows the notebook of the kernel ``me``."""

    def find(self, records: list[Participant], me: Participant | None) -> Found | None:
        cameras = [
            (record, stream)
            for record in records
            if _shows(record, me)
            for stream in record.streams
            if stream.source == "camera"
        ]
        return max(cameras, key=lambda found: found[1].started, default=None)

    def missing(self, records: list[Participant], me: Participant | None) -> str:
        if any(_shows(record, me) for record in records):
            return "no camera is on: click Camera in the room widget"
        if any(record.kind == "browser" for record in records):
            return "no browser tab shows this room for this notebook yet: run `room` again (after a restart, too), click Camera"
        return "no browser tab shows this room yet: display it (`room` on the last line of a cell) and click Camera in it"

    def __str__(self) -> str:
        return "camera"


@dataclass(frozen=True)
class Video:
    """A video stream of the participants that ``who`` names: the named one, else the camera, else the only one."""

    who: str
    stream: str | None = None

    def find(self, records: list[Participant], me: Participant | None) -> Found | None:
        videos = self._videos(records)
        if self.stream is not None:
            videos = [v for v in videos if self.stream in (v[1].id, v[1].name)]
        cameras = [v for v in videos if v[1].source == "camera"]
        if cameras:
            return max(cameras, key=lambda found: found[1].started)
        return videos[0] if len(videos) == 1 else None

    def missing(self, records: list[Participant], me: Participant | None) -> str:
        people = match(records, self.who)
        if not people:
            names = ", ".join(repr(record.name) for record in records) or "nobody else"
            return f"no participant {self.who!r}; in the room: {names}"
        videos = self._videos(records)
        wanted = f"no video stream {self.stream!r}" if self.stream is not None else "no camera"
        if not videos:
            return f"{self.who!r} sends {wanted}, and no other video"
        listed = ", ".join(repr(stream.name) for _, stream in videos)
        return f"{self.who!r} sends {wanted}; choose one with room.video({self.who!r}, stream=...): {listed}"

    def _videos(self, records: list[Participant]) -> list[Found]:
        people = match(records, self.who)
        # A notebook's name stands for the tabs that show it, too: that is the name its owner has chosen.
        kernels = {record.id for record in people if record.kind == "kernel"}
        people += [record for record in records if kernels.intersection(record.owners) and record not in people]
        return [(r, s) for r in people for s in r.streams if s.kind == "video"]

    def __str__(self) -> str:
        return f"{self.stream or 'video'} of {self.who!r}"


def _shows(tab: Participant, me: Participant | None) -> bool:
    """Whether a tab shows this kernel's notebook. Owners are what the tab says; whose tab it is, the server knows."""
    return me is not None and me.id in tab.owners and tab.user == me.user


Selector = Camera | Video
