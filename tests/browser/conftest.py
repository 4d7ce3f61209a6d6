"""One Chromium for the session, with a camera whose picture is known; a context for each test (test process)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from tests.browser.bars import write_bars
from tests.browser.lab import NotebookPage
from tests.browser.lobby import Lobby
from tests.support import JupyterProcess, chromium_path

QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--use-fake-device-for-media-stream",
]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def camera_flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of a quiet Chromium whose fake camera shows the colour bars."""
    video = tmp_path_factory.mktemp("camera") / "bars.y4m"
    write_bars(video)
    extra = os.environ.get("FORGE_RTC_TEST_CHROMIUM", "").split()
    return [*QUIET, f"--use-file-for-fake-video-capture={video}", *extra]


@pytest.fixture(scope="session")
def launch(playwright: Playwright, camera_flags: list[str]) -> Callable[..., Browser]:
    """Start a Chromium with that camera, and with further flags."""
    return lambda *flags: playwright.chromium.launch(executable_path=chromium_path(), args=[*camera_flags, *flags])


@pytest.fixture(scope="session")
def chromium(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """The session's browser: it allows every page the camera."""
    browser = launch("--use-fake-ui-for-media-stream")
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def lobby(chromium: Browser, jupyter: JupyterProcess) -> Iterator[Lobby]:
    lobby = Lobby(chromium, jupyter)
    yield lobby
    lobby.close()


@pytest.fixture
def context(lobby: Lobby) -> Iterator[BrowserContext]:
    context = lobby.enter()
    yield context
    context.close()


@pytest.fixture
def room_id() -> str:
    """A room of its own for each test."""
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
def open_notebook(jupyter: JupyterProcess) -> Iterator[Callable[..., NotebookPage]]:
    """Writes a notebook of these cells below the server's folder and opens it in a context; kernels end with the test."""
    pages: list[NotebookPage] = []

    def open_(context: BrowserContext, cells: list[str], server: JupyterProcess = jupyter) -> NotebookPage:
        page = NotebookPage.open(server, context, cells)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.shut_down()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where a journey may leave screenshots."""
    return tmp_path
