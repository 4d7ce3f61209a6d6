"""A page in Chromium as one end of measured data channels: ``python -m tests.bench.channels_chromium`` (end process)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.bench.data_worker import serve
from tests.browser.conftest import QUIET
from tests.engine.raw_chromium import PLAIN_ADDRESSES
from tests.support import chromium_path

SCRIPT = Path(__file__).with_suffix(".js")
NAMES = ("offer", "answer", "accept", "listen", "taken", "give", "echo")


def call(page: Page, name: str, **arguments: Any) -> Any:
    return page.evaluate("([name, arguments]) => end[name](arguments)", [name, arguments])


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*QUIET, PLAIN_ADDRESSES])
        try:
            page = browser.new_page()
            page.set_default_timeout(0)
            page.evaluate(SCRIPT.read_text())
            serve({name: partial(call, page, name) for name in NAMES})
        finally:
            browser.close()


if __name__ == "__main__":
    main()
