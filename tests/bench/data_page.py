"""A page as one end of a channel; it joins by the module for authors of pages (bench process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.bench.data_worker import LIMIT
from tests.bench.video.rig import Rig

SCRIPT = Path(__file__).with_suffix(".js").read_text()
PLAIN = "static/static/forge_rtc.js"
"""Something of the server to stand on; shown as text, it runs nothing of its own."""


class PageEnd:
    """Functions of a script in a page, asked as those of a `Worker`; ``name`` is that of the object that has them."""

    def __init__(self, page: Page, name: str = "benchEnd") -> None:
        self._page = page
        self._name = name

    def begin(self, name: str, **arguments: Any) -> None:
        self._page.evaluate("([end, name, args]) => window[end].begin(name, args)", [self._name, name, arguments])

    def result(self, limit: float = LIMIT) -> Any:
        return self._page.evaluate(
            """([end, limit]) => {
                const late = new Promise((_, fail) => setTimeout(fail, limit, `no answer within ${limit} ms`));
                return Promise.race([window[end].result(), late]);
            }""",
            [self._name, 1000 * limit],
        )

    def call(self, name: str, limit: float = LIMIT, **arguments: Any) -> Any:
        self.begin(name, **arguments)
        return self.result(limit)


@contextmanager
def joined_page(rig: Rig, room: str) -> Iterator[PageEnd]:
    """A page in the room, with the channel open."""
    context = rig.browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{rig.server.page_url}api/status?token={rig.server.token}")  # for the cookie
        page.goto(f"{rig.server.page_url}{PLAIN}")
        page.evaluate(SCRIPT)
        end = PageEnd(page)
        end.call("join", url=rig.server.page_url, token=rig.server.token, id=room)
        yield end
        end.call("leave")
    finally:
        context.close()
