"""What to do with each offer, and how its text must change: pure functions and state, no sockets (engine process).

The browser always offers to a kernel (docs/decisions/0002): the engine answers, and asks where it wants an offer. Of two
kernels the one with the lower participant id offers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..protocol import Stream

DEFAULT_CODECS = ("H264", "VP8")
"""Best first: where browsers encode both in software, H264 takes them half the time (docs/decisions/0007)."""

SOUND_CODECS = ("OPUS",)

START_KBPS = 3000
MIN_KBPS = 600
MAX_KBPS = 8000
"""Bitrates told to Chromium. aiortc sends no transport-wide feedback, so that Chromium's estimate starts low and takes
half a minute to allow the camera's full resolution; these make it start there."""

Step = Literal["new", "same", "stale"]


@dataclass
class Negotiation:
    """What is known of the pair's connection with one remote participant."""

    epoch: int | None = None
    wanted: set[str] = field(default_factory=set)
    """Stream ids subscribed to."""
    mids: dict[str, str] = field(default_factory=dict)
    """m-line of each stream in the present connection."""

    def offer(self, epoch: int, streams: list[Stream]) -> Step:
        """Classify an offer by its epoch: ``new`` replaces the connection, ``same`` renegotiates it, ``stale`` is dropped."""
        if self.epoch is not None and epoch < self.epoch:
            return "stale"
        step: Step = "same" if epoch == self.epoch else "new"
        self.epoch = epoch
        self.mids = {s.id: s.mid for s in streams if s.mid is not None}
        return step

    def new_epoch(self, now: float) -> int:
        """The number of a connection that we offer; ``now`` in Unix seconds."""
        self.epoch = max(int(now * 1000), (self.epoch or 0) + 1)
        self.mids = {}
        return self.epoch

    def is_current(self, epoch: int | None) -> bool:
        """Whether a candidate or answer of this epoch belongs to the present connection."""
        return epoch is not None and epoch == self.epoch

    def stream_of(self, mid: str) -> str | None:
        return next((stream for stream, m in self.mids.items() if m == mid), None)


_MEDIA = re.compile(r"^m=", re.MULTILINE)
_MID = re.compile(r"^a=mid:(\S+)", re.MULTILINE)
_RTPMAP = re.compile(r"^a=rtpmap:(\d+) ([^/\r\n]+)/", re.MULTILINE)
_OF_CODEC = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+) ")
_APT = re.compile(r"^a=fmtp:(\d+) apt=(\d+)", re.MULTILINE)
_MDNS = re.compile(r"^a=candidate:\S+ \d+ \S+ \d+ \S+\.local .*\r?\n", re.MULTILINE | re.IGNORECASE)


def is_mdns(candidate: str) -> bool:
    """True for a candidate that hides its address (draft-ietf-mmusic-mdns-ice-candidates)."""
    parts = candidate.split()
    return len(parts) > 4 and parts[4].lower().endswith(".local")


def prepare_offer(sdp: str, codecs: tuple[str, ...] = DEFAULT_CODECS, only: Mapping[str, str] | None = None) -> str:
    """A browser's offer as aiortc should read it: our codecs first, and no ``.local`` candidates.

    ``only`` has, by mid, the codec that an m-line is to have, where it is not left to the other side.

    aioice waits a second for each name that it cannot resolve; without them the pair connects all the same, from the
    checks that the browser sends to us (peer-reflexive candidates, RFC 8445 section 7.3.1.3).
    """
    head, *sections = _split_media(_MDNS.sub("", sdp))
    return head + "".join(
        _order_codecs(s, _codecs_of(s, codecs, only or {})) if s.startswith(("m=video", "m=audio")) else s for s in sections
    )


def _codecs_of(section: str, codecs: tuple[str, ...], only: Mapping[str, str]) -> tuple[str, ...]:
    if section.startswith("m=audio"):
        return SOUND_CODECS
    mid = _MID.search(section)
    codec = only.get(mid[1]) if mid is not None else None
    return codecs if codec is None else (codec,)


def prepare_answer(sdp: str, start: int = START_KBPS, low: int = MIN_KBPS, high: int = MAX_KBPS) -> str:
    """Our answer with Chromium's bitrate hints (kbit/s) in the format parameters of each video codec."""
    head, *sections = _split_media(sdp)
    hint = f"x-google-start-bitrate={start};x-google-min-bitrate={low};x-google-max-bitrate={high}"
    return head + "".join(_add_hint(s, hint) if s.startswith("m=video") else s for s in sections)


def _split_media(sdp: str) -> list[str]:
    starts = [m.start() for m in _MEDIA.finditer(sdp)]
    return [sdp[a:b] for a, b in zip([0, *starts], [*starts, len(sdp)], strict=True)]


def _order_codecs(section: str, codecs: tuple[str, ...]) -> str:
    """Only ``codecs`` and their retransmission (RFC 4588), in that order: aiortc answers in the order of the rtpmap lines."""
    lines = section.splitlines(keepends=True)
    names = {pt: name.upper() for pt, name in _RTPMAP.findall(section)}
    wanted = [pt for codec in codecs for pt in names if names[pt] == codec.upper()]
    if not wanted:
        return section  # aiortc will say that it has none of them
    wanted += [pt for pt, apt in _APT.findall(section) if names.get(pt) == "RTX" and apt in wanted]
    of_codecs: dict[str, list[str]] = {pt: [] for pt in wanted}
    others: list[str] = []
    for line in lines[1:]:
        match = _OF_CODEC.match(line)
        if match is None:
            others.append(line)
        elif match[1] in of_codecs:
            of_codecs[match[1]].append(line)
    head = " ".join([*lines[0].split()[:3], *wanted]) + "\r\n"
    return head + "".join(others) + "".join(line for pt in wanted for line in of_codecs[pt])


def _add_hint(section: str, hint: str) -> str:
    for payload_type, name in _RTPMAP.findall(section):
        if name.upper() not in DEFAULT_CODECS:
            continue
        fmtp = re.compile(rf"^(a=fmtp:{payload_type} [^\r\n]*)", re.MULTILINE)
        if fmtp.search(section):
            section = fmtp.sub(rf"\g<1>;{hint}", section)
        else:
            rtpmap = re.compile(rf"^(a=rtpmap:{payload_type} [^\r\n]*\r?\n)", re.MULTILINE)
            section = rtpmap.sub(rf"\g<1>a=fmtp:{payload_type} {hint}\r\n", section)
    return section
