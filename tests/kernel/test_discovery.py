"""The ways by which a kernel finds its server: each alone, their order, and the ones that do not work, with why."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from forge_rtc_nb.control import Way
from forge_rtc_nb.errors import InvalidConfig
from forge_rtc_nb.kernel.discovery import base_url, candidates
from forge_rtc_nb.rest import rest
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess

EXTENSION = {"FORGE_RTC_SERVER_URL": "http://127.0.0.1:8888/a", "FORGE_RTC_SERVER_SECRET": "s3cret"}
HUB = {
    "JUPYTERHUB_API_TOKEN": "hubtoken",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:4321/user/jo/",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/jo/",
}
PARENT = {"JPY_PARENT_PID": "77"}


def write_server_file(folder: Path, **changed: object) -> None:
    info = {"url": "http://localhost:9999/base/", "token": "filetoken", "pid": 77, **changed}
    (folder / "jpserver-77.json").write_text(json.dumps(info))


def find(environ: dict[str, str], folder: Path) -> tuple[list[Way], list[str]]:
    return candidates(None, None, environ, lambda: folder)


def no_runtime_dir() -> Path:
    raise AssertionError("the running servers must not be looked at")


# ---- the order ----


def test_all_ways_come_in_the_documented_order(tmp_path: Path) -> None:
    write_server_file(tmp_path)
    ways, missing = find(EXTENSION | HUB | PARENT, tmp_path)
    assert [(way.url, way.token, way.secret) for way in ways] == [
        ("http://127.0.0.1:8888/a/", None, "s3cret"),
        ("http://127.0.0.1:4321/user/jo/", "hubtoken", None),
        ("http://localhost:9999/base/", "filetoken", None),
    ]
    assert missing == []


def test_an_explicit_server_is_the_only_way() -> None:
    ways, missing = candidates("http://host:1/", "mine", EXTENSION | HUB | PARENT, no_runtime_dir)
    assert [(way.url, way.token) for way in ways] == [("http://host:1/", "mine")]
    assert missing == []


def test_with_no_way_each_one_says_why(tmp_path: Path) -> None:
    ways, missing = find({}, tmp_path)
    assert ways == []
    assert [text.split(":")[0] for text in missing] == ["the extension's environment", "JupyterHub", "a running server"]


# ---- server= ----


@pytest.mark.parametrize(
    ("given", "base", "token"),
    [
        ("http://127.0.0.1:8888", "http://127.0.0.1:8888/", None),
        (" http://127.0.0.1:8888/?token=abc ", "http://127.0.0.1:8888/", "abc"),
        ("http://host:8888/lab?token=abc#x", "http://host:8888/", "abc"),
        ("http://host:8888/lab/tree/a/lab/tree/x.ipynb?token=abc", "http://host:8888/", "abc"),
        ("http://host/lab/workspaces/w/tree/x.ipynb?reset&token=abc", "http://host/", "abc"),
        ("http://host/doc/tree/x.ipynb", "http://host/", None),
        ("https://host/user/jo/lab", "https://host/user/jo/", None),
        ("https://host/hubs/user/lab/lab/tree/x", "https://host/hubs/user/lab/", None),
        ("https://host/user/tree/tree?token=t", "https://host/user/tree/", "t"),
        ("http://host/base/notebooks/a/x.ipynb", "http://host/base/", None),
        ("http://host/notebooks/lab", "http://host/notebooks/", None),
        ("http://host/lab/lab/tree", "http://host/lab/", None),
        ("http://host/base/api/kernels", "http://host/base/", None),
        ("http://host/login?next=%2Flab", "http://host/", None),
        ("http://host/files/", "http://host/files/", None),
        ("http://[::1]:8888/tree", "http://[::1]:8888/", None),
    ],
)
def test_any_page_of_a_server_names_it(given: str, base: str, token: str | None) -> None:
    assert base_url(given) == (base, token)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "localhost:8888?token=hidden",
        "ws://host/?token=hidden",
        "http://",
        "http://host:99999/?token=hidden",
        "http://[broken/?token=hidden",
        "http://jo:hidden@host/",
        "https://host/hub/home?token=hidden",
        "file:///etc/hidden",
    ],
)
def test_a_server_that_cannot_be_one_is_refused_without_quoting_its_token(bad: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        candidates(bad, None, {}, no_runtime_dir)
    assert "server=" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_where_the_token_of_an_explicit_server_comes_from() -> None:
    environ = {"FORGE_RTC_TOKEN": "env"}

    def token(url: str, argument: str | None, environ: dict[str, str]) -> str | None:
        return candidates(url, argument, environ, no_runtime_dir)[0][0].token

    assert token("http://host/?token=url", "argument", environ) == "argument"
    assert token("http://host/?token=url", None, environ) == "url"
    assert token("http://host/", None, environ) == "env"
    assert token("http://host/", None, {}) is None


def test_a_token_without_a_server_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="server="):
        candidates(None, "hidden", {}, no_runtime_dir)


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    write_server_file(tmp_path)
    ways = [*find(EXTENSION | HUB | PARENT, tmp_path)[0], *candidates("http://h/?token=t0ken", None, {}, Path)[0]]
    shown = repr(ways)
    assert len(ways) == 4
    assert not any(secret in shown for secret in ("s3cret", "hubtoken", "filetoken", "t0ken"))


# ---- the extension's environment ----


@pytest.mark.parametrize("missing_name", sorted(EXTENSION))
def test_the_extensions_environment_must_be_whole(missing_name: str, tmp_path: Path) -> None:
    ways, missing = find({name: value for name, value in EXTENSION.items() if name != missing_name}, tmp_path)
    assert ways == []
    assert "jupyter server extension list" in missing[0]


def test_the_extension_of_a_server_on_a_unix_socket(tmp_path: Path) -> None:
    ways, missing = find(EXTENSION | {"FORGE_RTC_SERVER_URL": "http+unix://%2Ftmp%2Fx.sock/"}, tmp_path)
    assert ways == []
    assert "Unix socket" in missing[0]


# ---- JupyterHub ----


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "", "*"])
def test_a_hub_server_that_listens_everywhere_is_reached_on_this_machine(host: str, tmp_path: Path) -> None:
    ways, _ = find(HUB | {"JUPYTERHUB_SERVICE_URL": f"http://{host}:4321/user/jo/"}, tmp_path)
    assert ways[0].url == "http://127.0.0.1:4321/user/jo/"


@pytest.mark.parametrize("url", ["http://127.0.0.1:0/user/jo/", "", "http://127.0.0.1:port/"])
def test_where_the_hub_does_not_know_the_port_the_servers_file_tells_it(url: str, tmp_path: Path) -> None:
    environ = HUB | PARENT | {"JUPYTERHUB_SERVICE_URL": url}
    assert "JUPYTERHUB_SERVICE_URL" in find(environ, tmp_path)[1][1]
    write_server_file(tmp_path, token="")
    ways, missing = find(environ, tmp_path)
    assert [(way.how, way.url, way.token) for way in ways] == [("JupyterHub", "http://localhost:9999/base/", "hubtoken")]
    assert "no token" in missing[1]


# ---- the running server with pid JPY_PARENT_PID ----


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"token": ""}, "no token"), ({"url": "http+unix://%2Ftmp%2Fx.sock/"}, "Unix socket")],
)
def test_a_running_server_that_cannot_be_entered(changed: dict[str, str], why: str, tmp_path: Path) -> None:
    write_server_file(tmp_path, **changed)
    ways, missing = find(PARENT, tmp_path)
    assert ways == []
    assert why in missing[-1]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}', "\x00"])
def test_a_broken_server_file_is_said_to_be_one(content: str, tmp_path: Path) -> None:
    (tmp_path / "jpserver-77.json").write_text(content)
    assert "cannot be read" in find(PARENT, tmp_path)[1][-1]


@pytest.mark.parametrize("pid", ["", "-1", "../../x", "7e1"])
def test_a_pid_that_is_none_opens_no_file(pid: str) -> None:
    assert "JPY_PARENT_PID" in candidates(None, None, {"JPY_PARENT_PID": pid}, no_runtime_dir)[1][-1]


def test_a_server_of_another_user_or_machine_left_no_file(tmp_path: Path) -> None:
    assert "runs elsewhere, or as another user" in find(PARENT, tmp_path)[1][-1]


# ---- for real ----

IN_KERNEL = """
import json, os
from forge_rtc_nb.kernel.discovery import candidates, default_runtime_dir
from forge_rtc_nb.rest import rest
ways, missing = candidates(None, None, os.environ, default_runtime_dir)
print(json.dumps([[way.how, way.url, isinstance(rest(way, "GET", "rooms"), list)] for way in ways]))
"""


def test_a_local_kernel_enters_by_the_extension_and_by_the_servers_file(jupyter: JupyterProcess) -> None:
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        found = json.loads(kernel.run(IN_KERNEL))
    assert [how for how, _, _ in found] == ["the extension's environment", f"the running server with pid {jupyter.pid}"]
    assert all(entered for _, _, entered in found)


def test_any_python_process_enters_by_the_printed_url(jupyter: JupyterProcess) -> None:
    printed = f"{jupyter.url}lab/tree/x.ipynb?token={jupyter.token}"
    ways, _ = candidates(printed, None, dict(os.environ), no_runtime_dir)
    assert rest(ways[0], "GET", "health")["status"] == "ok"
