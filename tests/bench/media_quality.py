"""PSNR, bitrate and time of encoders on a fixed clip, ours beside those of aiortc (bench process)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.codecs import h264 as stock_h264
from aiortc.codecs import vpx as stock_vpx

from forge_rtc_nb.engine.publishing.encoder import VideoEncoder, usual_bitrate
from forge_rtc_nb.engine.publishing.planar import PlanarConverter
from tests.bench.clip import Array, clip

SIZES = {"480p": (480, 640), "720p": (720, 1280), "1080p": (1080, 1920)}
FPS = 30
_STOCK: dict[str, tuple[Any, Any, Callable[[bytes], bytes]]] = {
    "VP8": (stock_vpx, stock_vpx.Vp8Encoder, stock_vpx.vp8_depayload),
    "H264": (stock_h264, stock_h264.H264Encoder, stock_h264.h264_depayload),
}
STOCK_RATES = {codec: (module.DEFAULT_BITRATE, module.MAX_BITRATE) for codec, (module, _, _) in _STOCK.items()}
"""What aiortc begins with, and where the receivers' estimates take it to at most."""


@dataclass(frozen=True)
class Quality:
    """Of one encoder on one clip."""

    psnr: float
    """Of luma over all frames, dB."""
    kbps: float
    ms: float
    """CPU milliseconds a frame, median; ours and stock from RGB pixels."""


def encoded_by_us(codec: str, frames: list[Array], bitrate: int) -> tuple[list[bytes], float]:
    encoder = VideoEncoder(codec, FPS)
    encoded, times = [], []
    for number, pixels in enumerate(frames):
        begun = time.process_time()
        encoder.load(pixels, "rgb24")
        encoded.append(encoder.encode(number * 90_000 // FPS, bitrate).data)
        times.append(time.process_time() - begun)
    return encoded, 1000 * statistics.median(times)


def encoded_by_stock(codec: str, frames: list[Array], bitrate: int) -> tuple[list[bytes], float]:
    _, make, depayload = _STOCK[codec]
    encoder = make()
    encoder.target_bitrate = bitrate
    encoded, times = [], []
    for number, pixels in enumerate(frames):
        begun = time.process_time()
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        # Its H.264 encoder has FFmpeg convert; the other converts itself.
        picture = picture.reformat(format="yuv420p")
        picture.pts, picture.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
        payloads, _ = encoder.encode(picture)
        times.append(time.process_time() - begun)
        encoded.append(b"".join(map(depayload, payloads)))
    return encoded, 1000 * statistics.median(times)


def judge(codec: str, frames: list[Array], encoded: list[bytes], ms: float) -> Quality:
    """Decode and compare."""
    decoder: Any = av.CodecContext.create({"VP8": "libvpx", "H264": "h264"}[codec], "r")
    decoder.thread_count = 1
    converter = PlanarConverter()
    pictures = (picture for data in encoded for picture in decoder.decode(av.Packet(data)))
    errors = [
        float(np.mean((_luma(picture) - converter.convert(pixels, "rgb24").y.astype(np.float32)) ** 2))
        for pixels, picture in zip(frames, pictures, strict=False)
    ]
    if len(errors) < len(frames) - 2:
        raise RuntimeError(f"{len(errors)} of {len(frames)} frames were decoded")
    kbps = sum(map(len, encoded)) * 8 * FPS / len(frames) / 1000
    return Quality(float(10 * np.log10(255**2 / np.mean(errors))), kbps, ms)


def _luma(picture: Any) -> Any:
    plane = picture.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : picture.width].astype(np.float32)


def ours(codec: str, frames: list[Array], bitrate: int) -> Quality:
    return judge(codec, frames, *encoded_by_us(codec, frames, bitrate))


def stock(codec: str, frames: list[Array], bitrate: int) -> Quality:
    return judge(codec, frames, *encoded_by_stock(codec, frames, bitrate))


def equal(codec: str, frames: list[Array], wanted: Quality) -> Quality:
    """Ours at the bitrate that stock was measured at, within 2 %."""
    bitrate = 1000 * wanted.kbps
    for _ in range(4):
        found = ours(codec, frames, round(bitrate))
        if abs(found.kbps / wanted.kbps - 1) < 0.02:
            break
        bitrate *= wanted.kbps / found.kbps
    return found


def measure(sizes: list[str], count: int) -> list[dict[str, Any]]:
    """Each size and codec: stock at its bounds, ours at the same bitrates and at its default."""
    rows = []
    for size in sizes:
        height, width = SIZES[size]
        frames = list(clip(height, width, count))
        for codec, rates in STOCK_RATES.items():
            found = {"ours, default": ours(codec, frames, usual_bitrate(height, width, FPS))}
            for name, rate in zip(("lowest", "highest"), rates, strict=True):
                found[f"stock, {name}"] = stock(codec, frames, rate)
                found[f"ours, as stock's {name}"] = equal(codec, frames, found[f"stock, {name}"])
            for what, quality in found.items():
                rows.append({"size": size, "codec": codec, "what": what, **vars(quality)})
                print(
                    f"{size:6}{codec:5} {what:24}{quality.psnr:7.2f} dB {quality.kbps:7.0f} kbit/s {quality.ms:6.1f} ms",
                    flush=True,
                )
    return rows
