"""Browsers show our pictures as they come, without the delay that they keep for smoothness (engine process).

The RTP header extension of libwebrtc (docs/native-code/rtp-hdrext/playout-delay): the least and the most delay, 12 bits each,
in units of 10 ms. Where both are 0 a receiver renders each picture at once. Live data is worth more than an even rhythm.
"""

from __future__ import annotations

from typing import Any

from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
OUR_ID = 5
"""In our offers; an answer has the id of the offer. Not one of aiortc's, whose ids audio and video share."""
NO_DELAY = bytes(3)
ONE_BYTE_HEADERS = 0xBEDE
"""The profile of RFC 8285, 4.2."""


class PlayoutDelayMap(HeaderExtensionsMap):
    """The header extensions that a sender puts into its packets: aiortc's, and this one where it was negotiated."""

    def __init__(self) -> None:
        super().__init__()
        self._prefix = b""

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == URI and extension.id <= 14:
                self._prefix = bytes([extension.id << 4 | len(NO_DELAY) - 1]) + NO_DELAY

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        profile, extensions = super().set(values)
        if profile != ONE_BYTE_HEADERS:  # the two-byte form, or none at all: not worth a second way of writing it
            return profile, extensions
        return profile, self._prefix + extensions


def give_playout_delay(sender: Any) -> None:
    """Have an `RTCRtpSender` tell its receiver."""
    sender._RTCRtpSender__rtp_header_extensions_map = PlayoutDelayMap()


def offer_playout_delay() -> None:
    """Have aiortc negotiate it; idempotent."""
    if not any(extension.uri == URI for extension in HEADER_EXTENSIONS["video"]):
        HEADER_EXTENSIONS["video"].append(RTCRtpHeaderExtensionParameters(id=OUR_ID, uri=URI))
