"""A page in Chromium as one end of measured data channels: ``python -m tests.bench.channels_chromium`` (end process)."""

from __future__ import annotations

from pathlib import Path

from tests.engine.page_end import serve_page

SCRIPT = Path(__file__).with_suffix(".js")
NAMES = ("offer", "answer", "accept", "listen", "taken", "give", "echo")

if __name__ == "__main__":
    serve_page(SCRIPT.read_text(), NAMES)
