"""What tests of several folders use: a real Jupyter server process, waiting for conditions (test process)."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")

START_LIMIT = 60.0
"""Seconds for a server to answer; a cold JupyterLab on two busy cores takes up to 15."""
STOP_LIMIT = 10.0
POLL = 0.05


def wait_for(condition: Callable[[], T], timeout: float = 10.0, what: str = "condition") -> T:
    """The first true value of ``condition()``; `AssertionError` naming ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(POLL)
    return value


async def await_for(condition: Callable[[], T | Awaitable[T]], timeout: float = 10.0, what: str = "condition") -> T:
    """`wait_for` that leaves the event loop running; ``condition`` may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        result = await value if isinstance(value, Awaitable) else value
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        await asyncio.sleep(POLL)


def deleted(request: Callable[[], object]) -> bool:
    """Whether this DELETE of a kernel or session left none; false while the server restarts a killed one (it says 500)."""
    try:
        request()
    except urllib.error.HTTPError as error:
        if error.code == 500:
            return False
        if error.code != 404:
            raise
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def chromium_path() -> str:
    """The system's Chromium, which `make test` installs where there is none; FORGE_RTC_CHROMIUM names another."""
    if named := os.environ.get("FORGE_RTC_CHROMIUM"):
        return named
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise AssertionError("no Chromium on PATH: `make system` installs it")


def stop_process(process: subprocess.Popen[bytes], limit: float = STOP_LIMIT) -> int:
    """Ends a process that the test started: SIGTERM, and SIGKILL where that does not help. Its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class JupyterProcess:
    """A `jupyter lab` or `jupyter notebook` of its own, with token and XSRF check on; a context manager.

    It has its own settings, data and runtime folders below a temporary one, so that nothing of the developer's
    Jupyter is seen; what the environment (`sys.prefix`) installed is: kernels, and our extension.
    """

    def __init__(
        self,
        root: Path,
        *,
        app: Literal["lab", "notebook"] = "lab",
        arguments: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
        port: int | None = None,
        token: str | None = None,
        page_host: str = "127.0.0.1",
    ) -> None:
        self.root = root
        self._page_host = page_host
        self.app = app
        self.port = port or free_port()
        self.page_port: int | None = None
        """The port that pages go by, where something lies between them and the server."""
        self.token = secrets.token_hex(24) if token is None else token
        self._arguments = arguments
        self._environ = environ or {}
        self._home = Path(tempfile.mkdtemp(prefix="forge-rtc-jupyter-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base URL with a slash at its end, without the token."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def page_url(self) -> str:
        """Base URL for browsers, where they go by another name of this machine, or by another port."""
        return f"http://{self._page_host}:{self.page_port or self.port}/"

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def log_path(self) -> Path:
        """What the server printed; gone with the context."""
        return self._home / "server.log"

    @property
    def runtime_dir(self) -> Path:
        return self._home / "runtime"

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError("the Jupyter server is not running")
        return self._process

    def start(self) -> Self:
        """Returns when the server answers; `AssertionError` with its log when it does not."""
        # While it was away somebody's connection may have got its port.
        wait_for(lambda: is_free(self.port), START_LIMIT, f"port {self.port} is free again")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(self._answers, START_LIMIT, f"{self.app} at {self.url} answers")
        except AssertionError as error:
            log_text = self.log_path.read_text(errors="replace")
            self.close()
            raise AssertionError(f"{error}\n{log_text[-4000:]}") from None
        return self

    def stop(self) -> None:
        """Ends the process and keeps the folders, so that `start` can follow."""
        if self._process is not None:
            stop_process(self._process)
            self._process = None

    def kill(self) -> None:
        """Ends the process as a crash would: nothing gets to clean up."""
        self._running.send_signal(signal.SIGKILL)
        self._running.wait()
        self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def request(self, method: str, path: str, body: object | None = None) -> Any:
        """Parsed JSON of one REST call below the base URL, by token; None for an empty answer."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            content = response.read()
        return json.loads(content) if content else None

    def kernels(self) -> list[dict[str, Any]]:
        """What `/api/kernels` lists."""
        listed: list[dict[str, Any]] = self.request("GET", "api/kernels")
        return listed

    def _answers(self) -> bool:
        if self._running.poll() is not None:
            raise AssertionError(f"{self.app} ended with status {self._running.returncode}")
        try:
            self.request("GET", "api/status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _command(self) -> list[str]:
        module = {"lab": "jupyterlab", "notebook": "notebook"}[self.app]
        command = [sys.executable, "-m", module, "--no-browser", f"--ServerApp.root_dir={self.root}"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        command += [f"--IdentityProvider.token={self.token}", "--ServerApp.allow_root=True"]
        if self.app == "lab":
            # Journeys ask the page's own `jupyterapp` what it shows.
            command.append("--LabApp.expose_app_in_browser=True")
        return [*command, *self._arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "FORGE_"))}
        folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
        own = {name: str(self._home / folder) for name, folder in folders.items()}
        return {**kept, **own, "IPYTHONDIR": str(self._home / "ipython"), **self._environ}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
