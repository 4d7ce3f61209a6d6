"""What happens to each offer and to its text: epochs, codecs, candidates, bitrate hints (pure)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.negotiation import Negotiation, is_mdns, prepare_answer, prepare_offer
from forge_rtc_nb.protocol import Stream

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
HINT = "x-google-start-bitrate=3000;x-google-min-bitrate=600;x-google-max-bitrate=8000"

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 45 98 99 100 101\r\n"
    "a=mid:1\r\n"
    "a=rtpmap:96 VP8/90000\r\n"
    "a=rtpmap:97 rtx/90000\r\n"
    "a=fmtp:97 apt=96\r\n"
    "a=rtpmap:45 AV1/90000\r\n"
    "a=rtpmap:98 VP9/90000\r\n"
    "a=rtpmap:99 H264/90000\r\n"
    "a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtpmap:100 rtx/90000\r\n"
    "a=fmtp:100 apt=99\r\n"
    "a=rtpmap:101 H264/90000\r\n"
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
HOST = "a=candidate:1 1 udp 2113937151 192.0.2.7 40000 typ host\r\n"
HIDDEN = "a=candidate:2 1 udp 2113937151 5c1b9f0e-1f3c-4f7e-9f1a-1a2b3c4d5e6f.local 40001 typ host generation 0\r\n"
OFFER = HEAD + AUDIO + VIDEO + DATA


def stream(id: str, mid: str | None) -> Stream:
    return Stream(id=id, name=id, kind="video", source="camera", mid=mid)


# ---- epochs ----


def test_an_offer_is_new_the_same_or_stale_by_its_epoch() -> None:
    state = Negotiation()
    assert state.offer(10, []) == "new"
    assert state.offer(10, []) == "same"
    assert state.offer(9, []) == "stale"
    assert state.offer(11, []) == "new"


def test_an_offers_mapping_replaces_the_one_before() -> None:
    state = Negotiation()
    state.offer(1, [stream("a", "0"), stream("b", "1"), stream("without", None)])
    assert [state.stream_of(mid) for mid in ("0", "1", "2")] == ["a", "b", None]
    state.offer(1, [stream("c", "0")])
    assert [state.stream_of(mid) for mid in ("0", "1")] == ["c", None]


def test_a_stale_offer_changes_nothing() -> None:
    state = Negotiation()
    state.offer(5, [stream("a", "0")])
    state.offer(4, [stream("b", "0")])
    assert (state.epoch, state.stream_of("0")) == (5, "a")


def test_only_candidates_of_the_present_epoch_count() -> None:
    state = Negotiation()
    assert not state.is_current(None)
    assert not state.is_current(0)
    state.offer(5, [])
    assert [state.is_current(epoch) for epoch in (4, 5, 6, None)] == [False, True, False, False]


# ---- the offer ----


@pytest.mark.parametrize(
    ("codecs", "line"),
    [
        (("VP8", "H264"), "96 99 101 97 100"),
        (("H264", "VP8"), "99 101 96 97 100"),
        (("H264",), "99 101 100"),
        (("VP8",), "96 97"),
        (("vp8",), "96 97"),
    ],
)
def test_our_codecs_and_their_retransmission_come_in_our_order(codecs: tuple[str, ...], line: str) -> None:
    prepared = prepare_offer(OFFER, codecs)
    assert f"m=video 9 UDP/TLS/RTP/SAVPF {line}\r\n" in prepared
    video = prepared[prepared.index("m=video") : prepared.index("m=application")]
    assert [text.split()[0] for text in video.split("a=rtpmap:")[1:]] == line.split()
    assert {text.split()[0] for text in video.split("a=fmtp:")[1:]} <= set(line.split())


def test_everything_that_is_not_about_video_codecs_stays_as_it_is() -> None:
    prepared = prepare_offer(OFFER, ("VP8",))
    assert prepared.startswith(HEAD + AUDIO)
    assert prepared.endswith(DATA)
    assert "a=mid:1\r\n" in prepared


def test_an_offer_without_our_codecs_is_left_for_aiortc_to_refuse() -> None:
    foreign = HEAD + "m=video 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:0\r\na=rtpmap:98 VP9/90000\r\n"
    assert prepare_offer(foreign) == foreign


def test_candidates_without_an_address_are_taken_out() -> None:
    offer = HEAD + AUDIO + HIDDEN + HOST + VIDEO + HIDDEN.replace(".local", ".LOCAL") + DATA
    prepared = prepare_offer(offer)
    assert ".local" not in prepared.lower()
    assert HOST in prepared
    assert prepared.count("m=") == 3


def test_an_offer_with_bare_line_feeds_is_prepared_too() -> None:
    prepared = prepare_offer((HEAD + VIDEO + HIDDEN).replace("\r\n", "\n"), ("H264",))
    assert "SAVPF 99 101 100\r\n" in prepared
    assert ".local" not in prepared


@pytest.mark.parametrize(
    ("candidate", "hidden"),
    [
        (HIDDEN.strip().removeprefix("a="), True),
        ("candidate:2 1 udp 2113937151 X.LOCAL 40001 typ host", True),
        (HOST.strip().removeprefix("a="), False),
        ("candidate:1 1 udp 1 192.0.2.7 9 typ srflx raddr x.local rport 1", False),
        ("candidate:1 1 udp", False),
        ("", False),
    ],
)
def test_which_candidates_hide_their_address(candidate: str, hidden: bool) -> None:
    assert is_mdns(candidate) is hidden


# ---- the answer ----


def test_every_vp8_and_h264_format_gets_the_bitrate_hints() -> None:
    prepared = prepare_answer(OFFER)
    assert f"a=rtpmap:96 VP8/90000\r\na=fmtp:96 {HINT}\r\n" in prepared
    assert f"profile-level-id=42e01f;{HINT}\r\n" in prepared
    assert f"a=rtpmap:101 H264/90000\r\na=fmtp:101 {HINT}\r\n" in prepared
    assert prepared.count("x-google-start-bitrate") == 3
    assert "a=fmtp:97 apt=96\r\n" in prepared
    assert "a=fmtp:111 minptime=10\r\n" in prepared


def test_all_video_lines_get_them() -> None:
    assert prepare_answer(HEAD + VIDEO + VIDEO).count("x-google-start-bitrate") == 6


def test_an_answer_without_video_is_unchanged() -> None:
    assert prepare_answer(HEAD + AUDIO + DATA) == HEAD + AUDIO + DATA


def test_numbers_of_ones_own() -> None:
    assert "x-google-start-bitrate=1;x-google-min-bitrate=2;x-google-max-bitrate=3" in prepare_answer(OFFER, 1, 2, 3)


# ---- anything ----

lines = st.lists(
    st.sampled_from(
        [*OFFER.split("\r\n"), HIDDEN.strip(), HOST.strip(), "m=video", "m=video 9", "m=", "a=rtpmap:96", "\0", "é"]
    ),
    max_size=30,
)


@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(lines, st.sampled_from(["\r\n", "\n", "\r"]))
def test_no_text_breaks_the_preparation(parts: list[str], end: str) -> None:
    text = end.join(parts)
    assert prepare_offer(text).count("m=video") == text.count("m=video")
    assert prepare_answer(text).count("m=video") == text.count("m=video")
