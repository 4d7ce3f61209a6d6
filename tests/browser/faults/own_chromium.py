"""A Chromium of the test's own: to be killed, and to be left alone with its tabs (test process).

A page that Playwright drives always counts as visible and focused, so that a tab in the background needs a browser that
Playwright has let go of.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Browser, BrowserContext, Playwright
from websockets.sync.client import connect

from tests.support import chromium_path, wait_for

START_LIMIT = 30.0


class OwnChromium:
    """A headless Chromium with these flags in a process group of its own; a context manager."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._profile = Path(tempfile.mkdtemp(prefix="forge-rtc-chromium-"))
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        command = [chromium_path(), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self._profile}"]
        with (self._profile / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._flags, "about:blank"], stdout=log, stderr=log, start_new_session=True
            )
        port = self._profile / "DevToolsActivePort"
        wait_for(lambda: port.exists() and port.read_text().count("\n"), START_LIMIT, "Chromium's debugging port")
        self._address = f"127.0.0.1:{port.read_text().split()[0]}"
        # It answers before it is ready, and Playwright would wait in vain for what it missed.
        wait_for(lambda: any(tab["url"] == "about:blank" for tab in self._tabs()), START_LIMIT, "Chromium's first tab")
        return self

    def drive(self, playwright: Playwright) -> BrowserContext:
        """Its only context, by Playwright, until `let_go`."""
        self._browser = playwright.chromium.connect_over_cdp(f"http://{self._address}")
        return self._browser.contexts[0]

    def let_go(self) -> None:
        """Playwright forgets it; its pages stay as they are."""
        if self._browser is not None:
            self._browser.close()
            self._browser = None

    def cover(self, url: str) -> None:
        """Another tab comes to the front, over the one at this URL; returns when that one counts as hidden."""
        page = next(tab for tab in self._tabs() if tab["type"] == "page" and tab["url"].startswith(url))
        self._request("PUT", "json/new?about:blank")
        with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:

            def visibility() -> Any:
                what = {"expression": "document.visibilityState"}
                socket.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": what}))
                return json.loads(socket.recv(10))["result"]["result"]["value"]

            wait_for(lambda: visibility() == "hidden", what="the tab is in the background")

    def kill(self) -> None:
        """All its processes end as in a crash."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _tabs(self) -> list[dict[str, Any]]:
        tabs: list[dict[str, Any]] = json.loads(self._request("GET", "json/list"))
        return tabs

    def _request(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://{self._address}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            content: bytes = response.read()
            return content

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.let_go()
        if self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._profile, ignore_errors=True)
