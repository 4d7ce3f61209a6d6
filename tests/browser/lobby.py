"""A browser context for the next test, whose page loads JupyterLab while this test still runs (test process).

To load it takes eight seconds of processor time, most of them while a journey waits for something else.
"""

from __future__ import annotations

import secrets

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.support import JupyterProcess

PAGE_LIMIT = 60_000
"""Milliseconds for a cold JupyterLab on a busy machine."""
WINDOW = ViewportSize(width=1200, height=1000)
PLACE = "lab/workspaces/lobby-"


class Lobby:
    """Each context is one test's alone."""

    def __init__(self, browser: Browser, server: JupyterProcess) -> None:
        self._browser = browser
        self._server = server
        self._next: BrowserContext | None = None

    def enter(self) -> BrowserContext:
        """A context that nobody has used; the next one begins to load."""
        context = self._next or self._prepare()
        self._next = self._prepare()
        return context

    def close(self) -> None:
        if self._next is not None:
            self._next.close()

    def _prepare(self) -> BrowserContext:
        context = self._browser.new_context(viewport=WINDOW)
        place = f"{self._server.page_url}{PLACE}{secrets.token_hex(4)}?token={self._server.token}"
        context.new_page().goto(place, timeout=PAGE_LIMIT, wait_until="commit")
        return context


def waiting_page(context: BrowserContext, server: JupyterProcess | None = None) -> Page | None:
    """That of a context from the lobby, if no document was opened there yet, once its JupyterLab is ready."""
    place = PLACE if server is None else f"{server.page_url}{PLACE}"
    page = next((page for page in context.pages if place in page.url and "/tree/" not in page.url), None)
    if page is not None:
        page.wait_for_function("() => window.jupyterapp", timeout=PAGE_LIMIT)
        page.evaluate("() => jupyterapp.restored")
    return page


def open_document(page: Page, path: str) -> None:
    """As by a double click on it; the address is then that of the document."""
    page.evaluate("async path => void await jupyterapp.commands.execute('docmanager:open', { path })", path)


def run_first(context: BrowserContext, script: str) -> None:
    """Have a script run in every page before anything of ours does."""
    context.add_init_script(script)
    if (page := waiting_page(context)) is not None:
        page.add_script_tag(content=script)
