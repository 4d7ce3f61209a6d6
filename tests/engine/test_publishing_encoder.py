"""Pictures of every kind to frames that decoders show as they were (test process)."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from forge_rtc_nb.engine import swscale
from forge_rtc_nb.engine.publishing import h264, vp8
from forge_rtc_nb.engine.publishing.encoder import EncodedFrame, VideoEncoder, usual_bitrate
from forge_rtc_nb.engine.publishing.planar import FORMATS, PlanarConverter
from forge_rtc_nb.engine.publishing.pyav import PyAvEncoder
from tests.bench.clip import clip

CODECS = ["VP8", "H264"]
_MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
"""RGB to YCbCr of ITU-R BT.601, luma 16 to 235."""


class Decoder:
    def __init__(self, codec: str) -> None:
        self._context: Any = av.CodecContext.create({"VP8": "libvpx", "H264": "h264"}[codec], "r")
        self._context.thread_count = 1
        self._context.flags |= av.codec.context.Flags.low_delay

    def show(self, frame: EncodedFrame) -> av.VideoFrame:
        """The one picture of a frame."""
        (picture,) = self._context.decode(av.Packet(frame.data))
        assert isinstance(picture, av.VideoFrame)
        return picture


def psnr(one: Any, other: Any) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(float) - other.astype(float)) ** 2))))


def frames_of(encoder: VideoEncoder, pictures: list[Any], bitrate: int, first: int = 0) -> list[EncodedFrame]:
    frames = []
    for number, pixels in enumerate(pictures, first):
        encoder.load(pixels, "rgb24")
        frames.append(encoder.encode(3000 * number, bitrate))
    return frames


def test_the_libraries_of_av_are_found() -> None:
    assert vp8.available  # else PyAV encodes, with the bitrate of the last keyframe, which nobody would see
    assert h264.available


def test_a_library_that_we_do_not_know_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vp8, "ABI", 38)
    monkeypatch.setattr(h264, "BUILD", 164)
    assert vp8._load() is None
    assert h264._load() is None


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("by_av", [False, True])
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (48, 61), (33, 64), (17, 2), (1, 1), (3, 5)])
def test_pixels_become_the_planes_that_they_mean(
    size: tuple[int, int], by_av: bool, pixel_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_av:
        monkeypatch.setattr(swscale, "available", False)
    height, width = size
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // max(width, 2), y * 255 // max(height, 2), np.full(size, 90)], -1).astype(np.uint8)
    pixels: Any = {
        "rgb24": rgb,
        "bgr24": rgb[..., ::-1].copy(),
        "rgba": np.dstack([rgb, np.full(size, 7, np.uint8)]),
        "gray": rgb[..., 0].copy(),
    }.get(pixel_format)
    if pixels is None:
        if height % 2 or width % 2:
            return  # there is no such array
        pixels = av.VideoFrame.from_ndarray(rgb, format="rgb24").to_ndarray(format="yuv420p")
    planes = PlanarConverter().convert(pixels, pixel_format)
    colours = rgb if pixel_format != "gray" else np.repeat(pixels[..., None], 3, 2)
    expected = colours.astype(float) @ _MATRIX.T + [16, 128, 128]
    assert np.abs(planes.y[:height, :width] - expected[..., 0]).max() <= 1.5
    for plane, number in ((planes.u, 1), (planes.v, 2)):
        near = np.abs(plane[: (height + 1) // 2, : (width + 1) // 2] - expected[::2, ::2, number])
        assert near.max() <= 2 + 255 / min(max(width, 2), max(height, 2))  # within the step to the next pixel


@pytest.mark.parametrize(
    ("pixels", "pixel_format"),
    [
        (np.zeros((4, 4), np.uint8), "rgb24"),
        (np.zeros((4, 4, 3), np.uint8), "gray"),
        (np.zeros((4, 4, 4), np.uint8), "rgb24"),
        (np.zeros((4, 4, 3), np.float32), "rgb24"),
        (np.zeros((4, 8, 3), np.uint8)[:, ::2], "rgb24"),
        (np.zeros((0, 4, 3), np.uint8), "rgb24"),
        (np.zeros((4, 4, 3), np.uint8), "rgb48"),
        (np.zeros((9, 3), np.uint8), "yuv420p"),
        (np.zeros((8, 4), np.uint8), "yuv420p"),
        (np.zeros(16, np.uint8), "gray"),
        (np.zeros((), np.uint8), "rgb24"),
    ],
)
def test_an_array_of_another_kind_is_refused(pixels: Any, pixel_format: str) -> None:
    with pytest.raises(ValueError, match="picture"):
        PlanarConverter().convert(pixels, pixel_format)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(120, 160), (121, 159), (64, 333), (18, 16)])
def test_what_is_encoded_is_seen(codec: str, size: tuple[int, int]) -> None:
    pictures = list(clip(*size, 6))
    encoder, decoder = VideoEncoder(codec, 30), Decoder(codec)
    for pixels, frame in zip(pictures, frames_of(encoder, pictures, 3_000_000), strict=True):
        picture = decoder.show(frame)
        height, width = size
        assert (picture.height, picture.width) == (size if codec == "VP8" else (height + height % 2, width + width % 2))
        plane: Any = picture.planes[0]
        seen = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]
        assert psnr(seen, PlanarConverter().convert(pixels, "rgb24").y[:height, :width]) > 33


def test_the_padding_of_an_odd_size_repeats_the_edge() -> None:
    encoder = VideoEncoder("H264", 30)
    encoder.load(np.full((33, 47, 3), 200, np.uint8), "rgb24")
    luma = Decoder("H264").show(encoder.encode(0, 3_000_000)).to_ndarray(format="gray")
    assert np.ptp(luma.astype(int)) <= 4


def test_h264_says_which_colours_it_has() -> None:
    encoder = VideoEncoder("H264", 30)
    picture = Decoder("H264").show(frames_of(encoder, list(clip(48, 64, 1)), 500_000)[0])
    assert (picture.colorspace, picture.color_primaries, picture.color_trc, picture.color_range) == (6, 6, 6, 1)


@pytest.mark.parametrize("codec", CODECS)
def test_the_bitrate_changes_between_two_frames_without_a_keyframe(codec: str) -> None:
    pictures = list(clip(240, 320, 90))
    encoder, decoder = VideoEncoder(codec, 30), Decoder(codec)
    sizes: list[int] = []
    keyframes = 0
    for begin, bitrate in ((0, 2_000_000), (30, 250_000), (60, 2_000_000)):
        frames = frames_of(encoder, pictures[begin : begin + 30], bitrate, begin)
        keyframes += sum(frame.keyframe for frame in frames)
        assert all(decoder.show(frame) for frame in frames)
        sizes.append(sum(len(frame.data) for frame in frames[15:]) * 8 * 2)
    assert keyframes == 1
    assert sizes[1] < 450_000 < 2 * sizes[1] + 400_000
    assert min(sizes[0], sizes[2]) > 2 * sizes[1]


@pytest.mark.parametrize("before", [120_000, 2_000_000], ids=["from the beginning", "from then on"])
def test_h264_takes_more_care_where_there_are_few_bits(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    pictures = list(clip(360, 640, 60))

    def quality() -> float:
        encoder, decoder = VideoEncoder("H264", 30), Decoder("H264")
        frames = [*frames_of(encoder, pictures[:30], before), *frames_of(encoder, pictures[30:], 120_000, 30)]
        seen = [decoder.show(frame).to_ndarray(format="rgb24") for frame in frames]
        return psnr(np.array(seen[45:]), np.array(pictures[45:]))

    with_care = quality()
    monkeypatch.setattr(h264, "_POOR", 0)
    assert with_care > quality() + 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_is_given_when_it_is_asked_for_and_for_a_new_size(codec: str) -> None:
    encoder = VideoEncoder(codec, 30)
    seen = []
    for number, (height, keyframe) in enumerate([(48, False), (48, False), (48, True), (48, False), (50, False), (50, False)]):
        encoder.load(np.full((height, 64), 80, np.uint8), "gray")
        frame = encoder.encode(3000 * number, 300_000, keyframe)
        seen.append(frame.keyframe)
        if frame.keyframe:
            assert Decoder(codec).show(frame).height == height
    assert seen == [True, False, True, False, True, False]


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_picture_again_costs_little(codec: str) -> None:
    encoder = VideoEncoder(codec, 30)
    encoder.load(next(clip(240, 320, 1)), "rgb24")
    sizes = [len(encoder.encode(3000 * number, 1_000_000).data) for number in range(30)]
    assert max(sizes[-5:]) < sizes[0] / 4


@pytest.mark.parametrize("codec", CODECS)
def test_without_the_libraries_av_encodes_and_takes_a_bitrate_at_the_next_keyframe(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr({"VP8": vp8, "H264": h264}[codec], "available", False)
    pictures = list(clip(121, 159, 40))
    encoder, decoder = VideoEncoder(codec, 30), Decoder(codec)
    before = frames_of(encoder, pictures[:20], 1_500_000)
    assert isinstance(encoder._encoder, PyAvEncoder)
    encoder.load(pictures[20], "rgb24")
    after = [encoder.encode(60_000, 150_000), encoder.encode(63_000, 150_000, keyframe=True)]
    after += frames_of(encoder, pictures[20:], 150_000, 22)
    for frame in before + after:
        assert decoder.show(frame).width == 160
    assert [frame.keyframe for frame in before + after[:3]] == [True] + 20 * [False] + [True, False]
    assert sum(len(frame.data) for frame in after[-10:]) < sum(len(frame.data) for frame in before[-10:]) / 2


def test_the_usual_bitrate_grows_with_size_and_frames() -> None:
    assert usual_bitrate(720, 1280, 30) == 3_000_000
    assert 1_400_000 < usual_bitrate(480, 640, 30) < 1_700_000
    assert 4_500_000 < usual_bitrate(1080, 1920, 30) < 5_500_000
    assert usual_bitrate(720, 1280, 5) < 1_500_000
    assert usual_bitrate(2, 2, 1) == 150_000
    assert usual_bitrate(8000, 8000, 60) == 12_000_000
