"""The ways that are compared, as cells of a notebook, and where in the page what they show is found (bench process)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from tests.bench.live.film import SIZES
from tests.bench.video.rig import PROJECT

PREPARE = f"""
import json, os, sys, threading, time
sys.path.insert(0, {str(PROJECT)!r})
from tests.bench.live.film import Film
"""
TILE = """() => [...document.querySelectorAll(".forge-rtc-tile")].find((tile) =>
  tile.querySelector(".forge-rtc-tile-name")?.textContent.endsWith(": film"))?.querySelector("video")"""
OURS = """
import forge_rtc_nb as rtc
room = rtc.join({room!r})
room
"""
STOCK = "from tests.bench.live.stock import StockWidget\nw = StockWidget({})\nw"
MADE = "film.seconds"
SHOWN = "() => document.querySelector('.bench-shown')"
CHANGE = """
def change(picture):
    below = picture[picture.shape[0] // 4 :]
    below[:] = 255 - below  # the stamp stays
    return picture
"""
LOOP = """
def loop():
    number = 0
    while looping:
        number += 1
looping = True
threading.Thread(target=loop, daemon=True).start()
"""
BURN = "import os; parent = os.getppid()\\nwhile os.getppid() == parent: sum(range(100000))"
BESIDE = f"""
import subprocess
subprocess.Popen([sys.executable, "-c", "{BURN}"])
"""


@dataclass(frozen=True)
class Way:
    """Cells that show pictures; ``sent`` is an expression for the bytes that left the kernel's side, ``find`` is JavaScript."""

    name: str
    cells: tuple[str, ...]
    after: str
    """Run when the page is there."""
    sent: str
    find: str
    made: str = "0.0"
    """An expression for the seconds of computing that the pictures themselves took."""

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("ours")


def films(size: str) -> list[Way]:
    """A film from the kernel to the page."""
    make = f"{PREPARE}film = Film({size!r})\n"
    return [
        ours("ours", make, "pub = room.publish(film, name='film', fps=30)", MADE),
        Way("stock", (make + STOCK.format("film"),), "", "w.sent", SHOWN, MADE),
        Way(
            "jpeg", (make + "from tests.bench.live.jpeg import JpegWidget\nw = JpegWidget(film)\nw",), "", "w.sent", SHOWN, MADE
        ),
        Way(
            "jupyter_rfb",
            (make + f"from tests.bench.live.rfb import FilmBuffer\nw = FilmBuffer(film, {SIZES[size]})\nw",),
            "w.request_draw()",
            "w.sent",
            "() => document.querySelector('.jupyter-rfb img, img.jupyter-rfb, .jp-OutputArea-output img')",
            MADE,
        ),
    ]


def chains() -> list[Way]:
    """The page's camera, changed in the kernel, and back."""
    publish = CHANGE + "pub = room.publish(room.camera.map(change), name='film')"
    return [
        ours("ours", PREPARE, publish),
        ours("ours, kernel computes", PREPARE, publish + LOOP),
        ours("ours, another process does", PREPARE, publish + BESIDE),
        Way("stock", (PREPARE + CHANGE + STOCK.format("change=change"),), "", "w.sent", SHOWN),
    ]


def ours(name: str, prepare: str, after: str, made: str = "0.0") -> Way:
    return Way(name, (prepare, OURS.format(room=f"bench-{secrets.token_hex(4)}")), after, "pub.stats().bytes", TILE, made)
