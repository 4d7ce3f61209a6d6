"""A tab of Chromium as an end that a test process calls, in a process of its own (end process, and its browser tab).

Playwright's event loop would leave none for tests that are coroutines.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.bench.data_worker import serve
from tests.browser.conftest import QUIET
from tests.support import chromium_path

PLAIN_ADDRESSES = "--disable-features=WebRtcHideLocalIpsWithMdns"
"""Candidates with addresses in the place of .local names: what is tested begins when the two are connected."""


def serve_page(script: str, names: Iterable[str]) -> None:
    """Answer calls of these methods of the script's ``window.end`` until stdin ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*QUIET, PLAIN_ADDRESSES])
        try:
            page = browser.new_page()
            page.set_default_timeout(0)
            page.evaluate(script)
            serve({name: partial(_call, page, name) for name in names})
        finally:
            browser.close()


def _call(page: Page, method: str, **arguments: Any) -> Any:
    return page.evaluate("([method, arguments]) => end[method](arguments)", [method, arguments])
