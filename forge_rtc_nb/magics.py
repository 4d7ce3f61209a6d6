"""`%rtc` and `%%rtc` (runs in the kernel)."""

from __future__ import annotations

import os
import re
from keyword import iskeyword
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class

from .errors import RTCError
from .kernel.discovery import candidates, default_runtime_dir
from .kernel.joining import join, joined
from .kernel.participants import Participant
from .kernel.room import Room
from .kernel.streams import VideoStream
from .rest import rest

_OPTION = r"(?:-n|--format)(?:\s*=\s*|\s+)[\w.+-]+"
_FRAMES = re.compile(rf"(?P<before>(?:{_OPTION}\s+)*)(?P<stream>.*?)(?P<after>(?:(?:^|\s+){_OPTION})*)")
"""Options stand before or after the stream: what looks like one within its expression belongs to that."""
_BARE = re.compile(r"(?:^|.*\s)(-n|--format)(?:\s*=)?")


@magics_class
class RTCMagics(Magics):
    """The line and cell magics; `%load_ext forge_rtc_nb` registers them."""

    @line_cell_magic
    def rtc(self, line: str, cell: str | None = None) -> Any:
        """WebRTC rooms in a notebook.

        %rtc join ROOM [as VARIABLE]   join a room and show its widget; VARIABLE (default: room) holds it
        %rtc rooms                     the rooms that are open on this notebook's server
        %rtc who [ROOM]                who is in the room
        %rtc leave [ROOM]              leave it (all rooms, where none is named)

        %%rtc frames STREAM [-n COUNT] [--format FORMAT]
            run the cell once for each frame, with `frame` bound to it: the newest each time, until the stream stops, COUNT
            frames are done, or you interrupt. STREAM is an expression such as cam or room.camera; FORMAT is rgb24
            (default), bgr24, gray or yuv420p.

        Example:
            %rtc join meeting-123
            cam = room.camera

            %%rtc frames cam -n 100
            brightness.append(frame.array.mean())
        """
        command, *arguments = line.split() or [""]
        if cell is not None:
            if command != "frames":
                raise UsageError("%%rtc has one command, frames: %%rtc frames STREAM [-n COUNT] [--format FORMAT]")
            return self._frames(line.partition("frames")[2], cell)
        methods = {"join": self._join, "rooms": self._rooms, "who": self._who, "leave": self._leave}
        if command not in methods:
            raise UsageError("%rtc join ROOM [as VARIABLE] | rooms | who [ROOM] | leave [ROOM]; %rtc? explains them")
        return methods[command](arguments)

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None  # registered by load_ipython_extension
        return self.shell

    def _join(self, arguments: list[str]) -> Room:
        if len(arguments) == 1:
            arguments = [*arguments, "as", "room"]
        if len(arguments) != 3 or arguments[1] != "as" or not arguments[2].isidentifier() or iskeyword(arguments[2]):
            raise UsageError("%rtc join ROOM [as VARIABLE]")
        room = join(arguments[0])
        self._shell.push({arguments[2]: room})
        return room

    def _rooms(self, arguments: list[str]) -> Table:
        if arguments:
            raise UsageError("%rtc rooms takes nothing more")
        ways, missing = candidates(None, None, os.environ, default_runtime_dir)
        failures = list(missing)
        for way in ways:
            try:
                found = rest(way, "GET", "rooms")
                rows = [[room["id"], ", ".join(p["name"] for p in room["participants"])] for room in found]
                return Table(["room", "participants"], rows)
            except RTCError as error:
                failures.append(str(error))
        raise UsageError("no server to ask:\n" + "\n".join(failures))

    def _who(self, arguments: list[str]) -> Table:
        rows = [
            [room.id, person.name, person.kind, person.user, person.state, _sends(person)]
            for room in self._named(arguments)
            for person in room.participants
        ]
        return Table(["room", "name", "kind", "user", "state", "sends"], rows)

    def _leave(self, arguments: list[str]) -> None:
        for room in self._named(arguments):
            room.leave()
            print(f"left {room.id}")

    def _named(self, arguments: list[str]) -> list[Room]:
        rooms = [room for room in joined.rooms() if not arguments or room.id in arguments]
        if not rooms:
            here = ", ".join(room.id for room in joined.rooms()) or "none"
            raise UsageError(f"this notebook is in no room {' '.join(arguments)}".rstrip() + f"; it is in: {here}")
        return rooms

    def _frames(self, line: str, cell: str) -> None:
        expression, options = _parse_frames(line.strip())
        count = _count(options.get("-n"))
        stream = self._shell.ev(expression) if expression else None
        if not isinstance(stream, VideoStream):
            raise UsageError("%%rtc frames needs a video stream, such as room.camera")
        source = self._shell.transform_cell(cell)
        # By its entry in the shell's cache a traceback shows the cell's lines.
        code = compile(source, self._shell.compile.cache(source), "exec")
        try:
            frames = stream.frames(format=options.get("--format", "rgb24"))
        except ValueError as error:
            raise UsageError(f"--{error}") from None
        try:
            for done, frame in enumerate(frames, start=1):
                self._shell.user_ns["frame"] = frame
                exec(code, self._shell.user_ns)
                if done == count:
                    break
        finally:
            frames.close()


class Table:
    """Rows that show themselves as a table, in a notebook and in a terminal."""

    def __init__(self, head: list[str], rows: list[list[str]]) -> None:
        self.head = head
        self.rows = rows

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
        return "\n".join("  ".join(cells).rstrip() for cells in padded)

    def _repr_html_(self) -> str:
        from html import escape

        def row(cells: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag} style='text-align:left'>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        return f"<table>{row(self.head, 'th')}{''.join(row(cells, 'td') for cells in self.rows)}</table>"


def _parse_frames(line: str) -> tuple[str, dict[str, Any]]:
    """The expression of `%%rtc frames`, and its options."""
    found = _FRAMES.fullmatch(line)
    assert found is not None  # every part may be empty
    stream = found["stream"]
    if bare := _BARE.fullmatch(stream):
        raise UsageError(f"{bare[1]} takes a value: %%rtc frames STREAM [-n COUNT] [--format FORMAT]")
    given = re.findall(r"(-n|--format)\s*=?\s*([\w.+-]+)", found["before"] + found["after"])
    return stream, dict(given)


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"-n takes a number of frames above 0, not {text!r}")
    return int(text)


def _sends(person: Participant) -> str:
    parts = {"camera": person.video, "microphone": person.audio, "screen": person.screen}
    return ", ".join(name for name, on in parts.items() if on)
