"""A kernel below a real JupyterHub finds its own server and enters it with the hub's token."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote_kernel import RemoteKernel
from tests.support import START_LIMIT, free_port, stop_process, wait_for

PROXY = Path(__file__).parents[1] / "hub" / "node_modules" / ".bin" / "configurable-http-proxy"
USER = "jo"

IN_KERNEL = """
import json, os
from forge_rtc_nb.kernel.discovery import candidates, default_runtime_dir
from forge_rtc_nb.rest import rest
ways, missing = candidates(None, None, os.environ, default_runtime_dir)
hub = [way for way in ways if way.how == "JupyterHub"][0]
print(json.dumps({
    "ways": [way.how for way in ways],
    "url": hub.url,
    "health": rest(hub, "GET", "health")["status"],
    "rooms": [rest(way, "GET", "rooms") for way in ways],
}))
"""


class Hub:
    """A JupyterHub process with its proxy, and calls to its REST interface as its administrator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}/"
        self.token = secrets.token_hex(16)
        (folder / "jupyterhub_config.json").write_text(json.dumps(self._settings()))
        with (folder / "hub.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "--config", "jupyterhub_config.json"],
                cwd=folder,
                env={name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "FORGE_"))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def call(self, method: str, path: str, body: object | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}hub/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            content = response.read()
        return json.loads(content) if content else None

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "hub.log").read_text(errors="replace")[-4000:]
        try:
            self.call("GET", "info")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _settings(self) -> dict[str, dict[str, Any]]:
        scopes = ["admin:users", "admin:servers", "tokens", "access:servers", "read:hub"]
        return {
            "JupyterHub": {
                "bind_url": self.url,
                "hub_bind_url": f"http://127.0.0.1:{free_port()}",
                "db_url": "sqlite:///:memory:",
                "authenticator_class": "dummy",
                "spawner_class": "simple",
                "services": [{"name": "test", "api_token": self.token}],
                "load_roles": [{"name": "test", "services": ["test"], "scopes": scopes}],
            },
            # One that a test knows of; nobody logs in by form here.
            "DummyAuthenticator": {"password": self.token, "allow_all": True},
            "ConfigurableHTTPProxy": {"command": [str(PROXY)], "api_url": f"http://127.0.0.1:{free_port()}"},
            "Spawner": {"cmd": [sys.executable, "-m", "jupyterhub.singleuser"], "args": ["--allow-root"]},
            "SimpleLocalProcessSpawner": {"home_dir_template": str(self.folder / "{username}")},
        }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    assert PROXY.exists(), "the hub's proxy is not installed: `make test` does it (npm ci in tests/hub)"
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        wait_for(hub.answers, START_LIMIT, "the hub answers")
        yield hub
    finally:
        stop_process(hub.process, 20)


@pytest.fixture(scope="module")
def user_token(hub: Hub) -> str:
    """A token of a user whose server is running."""
    hub.call("POST", f"users/{USER}")
    hub.call("POST", f"users/{USER}/server", {})
    wait_for(lambda: hub.call("GET", f"users/{USER}")["servers"].get("", {}).get("ready"), START_LIMIT, "jo's server")
    token: str = hub.call("POST", f"users/{USER}/tokens", {"note": "test"})["token"]
    return token


def test_a_kernel_of_a_hub_enters_its_users_server(hub: Hub, user_token: str) -> None:
    with RemoteKernel(f"{hub.url}user/{USER}/", user_token) as kernel:
        found = json.loads(kernel.run(IN_KERNEL))
    assert found["ways"][:2] == ["the extension's environment", "JupyterHub"]
    assert found["health"] == "ok"
    assert found["rooms"] == [[] for _ in found["ways"]]
    assert found["url"].startswith("http://127.0.0.1:")
    assert found["url"].endswith(f"/user/{USER}/")


def test_the_address_that_the_user_sees_works_too(hub: Hub, user_token: str) -> None:
    code = (
        "from forge_rtc_nb.kernel.discovery import candidates\nfrom forge_rtc_nb.rest import rest\n"
        f"ways, _ = candidates('{hub.url}user/{USER}/lab/tree/x.ipynb', '{user_token}', {{}}, None)\n"
        "print(rest(ways[0], 'GET', 'health')['status'])"
    )
    with RemoteKernel(f"{hub.url}user/{USER}/", user_token) as kernel:
        assert kernel.run(code).strip() == "ok"
