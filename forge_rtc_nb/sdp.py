"""Whether a description or a candidate may be passed on at all, before a parser sees it; pure, no I/O."""

from __future__ import annotations

import re

from .errors import InvalidCandidate, InvalidSDP

MAX_SDP = 64 * 1024
MAX_MEDIA_LINES = 32
MAX_CANDIDATES = 128


def check_sdp(sdp: str) -> None:
    """Refuse a description that is not SDP at all or is over the limits, before a parser sees it (RFC 8866)."""
    if len(sdp) > MAX_SDP:
        raise InvalidSDP(f"an SDP may have {MAX_SDP} characters, this one has {len(sdp)}")
    if not sdp.startswith("v=0"):
        raise InvalidSDP("an SDP starts with 'v=0'")
    lines = sdp.splitlines()  # the line ends that SDP parsers accept, a lone CR among them
    media = sum(line.startswith("m=") for line in lines)
    if media > MAX_MEDIA_LINES:
        raise InvalidSDP(f"an SDP may have {MAX_MEDIA_LINES} m-lines, this one has {media}")
    candidates = sum(line.startswith("a=candidate:") for line in lines)
    if candidates > MAX_CANDIDATES:
        raise InvalidSDP(f"an SDP may have {MAX_CANDIDATES} candidates, this one has {candidates}")


_CANDIDATE = re.compile(r"(a=)?candidate:\S{1,32} [0-9]{1,5} \S{1,16} [0-9]{1,10} \S{1,255} [0-9]{1,5} typ \S{1,16}( .*)?")


def check_candidate(line: str) -> None:
    """Refuse what is not a candidate attribute (RFC 8839 section 5.1); the empty string ends a generation."""
    if line and not _CANDIDATE.fullmatch(line):
        raise InvalidCandidate("a candidate reads 'candidate:<foundation> <component> <transport> <priority> ...'")
