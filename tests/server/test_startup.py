"""Starting and stopping: settings that cannot be used, ports, base URLs, sockets, TLS (test process)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from forge_rtc_nb.server.app import ForgeRTC, local_access, local_url, server_name
from forge_rtc_nb.server.settings import Settings
from tests.server.conftest import ENABLED, ROOT


def start_and_fail(folder: Path, config: str, **environ: str) -> tuple[int, list[str]]:
    """Exit status of a server with this configuration, and the lines in which it speaks of us or has a traceback."""
    (folder / "config.py").write_text(config)
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    process = subprocess.run(
        [
            *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            *("--port=0", ENABLED, f"--config={folder / 'config.py'}"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **own, **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )
    told = [line for line in process.stderr.splitlines() if "c.ForgeRTC" in line or "Traceback" in line]
    return process.returncode, told


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('c.ForgeRTC.stun_servers = ["stun://stun.example.com"]', ["stun_servers[0]", "config.py", "'stun://stun"]),
        (
            'c.ForgeRTC.turn_servers = [{"urls": "turn:a", "username": "u", "credential": "${TURN_CREDENTIAL}"}]',
            ["turn_servers[0].credential", "TURN_CREDENTIAL", "config.py"],
        ),
        ('c.ForgeRTC.settings_file = "missing.yaml"', ["settings_file", "missing.yaml"]),
        ("c.ForgeRTC.max_rooms = 0", ["max_rooms", "less than 1"]),
    ],
)
def test_settings_that_cannot_be_used_stop_the_server_with_one_line(tmp_path: Path, config: str, told: list[str]) -> None:
    status, lines = start_and_fail(tmp_path, config)
    assert status == 1
    assert len(lines) == 1
    for part in told:
        assert part in lines[0]


def test_a_signing_key_that_cannot_be_made_stops_the_server(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "forge_rtc_nb.key").mkdir()
    process_status, _ = start_and_fail(tmp_path, "c.ServerApp.log_level = 30")
    assert process_status == 1


def fake_server(**changes: Any) -> Any:
    return SimpleNamespace(**{"ip": "localhost", "port": 8889, "base_url": "/", "certfile": "", "sock": "", **changes})


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ({}, "http://127.0.0.1:8889/"),
        ({"ip": ""}, "http://127.0.0.1:8889/"),
        ({"ip": "0.0.0.0", "base_url": "/user/ann/"}, "http://127.0.0.1:8889/user/ann/"),
        ({"ip": "::"}, "http://[::1]:8889/"),
        ({"ip": "::1"}, "http://[::1]:8889/"),
        ({"ip": "192.0.2.7"}, "http://192.0.2.7:8889/"),
        ({"certfile": "/etc/server.pem"}, "https://127.0.0.1:8889/"),
        ({"sock": "/run/a b.sock", "base_url": "/b/"}, "http+unix://%2Frun%2Fa%20b.sock/b/"),
    ],
)
def test_kernels_are_told_an_address_that_works_on_this_machine(server: dict[str, str], url: str) -> None:
    assert local_url(fake_server(**server)) == url


def test_kernels_are_told_which_certificate_to_trust() -> None:
    assert "FORGE_RTC_SERVER_CERTIFICATE" not in local_access(fake_server(), "s")
    access = local_access(fake_server(certfile="/etc/server.pem"), "s")
    assert access["FORGE_RTC_SERVER_CERTIFICATE"] == "/etc/server.pem"
    assert access["FORGE_RTC_SERVER_SECRET"] == "s"


def test_a_server_has_a_name_that_outlives_its_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    assert server_name(fake_server()) == "8889"
    assert server_name(fake_server(sock="/run/s")) == "/run/s"
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    assert server_name(fake_server()) == "/user/ann/"


def test_every_limit_is_a_documented_trait_with_the_same_default() -> None:
    traits = ForgeRTC.class_traits(config=True)
    for name, default in Settings().__class__.__dataclass_fields__.items():
        assert traits[name].default() == default.default
        assert str(default.default).removesuffix(".0") in traits[name].help or "MiB" in traits[name].help
        assert len(traits[name].help) > 20


PROBE = """
import json, os, sys, urllib.request, ssl
from forge_rtc_nb.tickets import mint_ticket
url, secret = os.environ["FORGE_RTC_SERVER_URL"], os.environ["FORGE_RTC_SERVER_SECRET"]
context = None
if url.startswith("https"):
    context = ssl.create_default_context(cafile=os.environ["FORGE_RTC_SERVER_CERTIFICATE"])
    context.check_hostname = False
ticket = mint_ticket(secret, room="any", user="x", kind="kernel")
request = urllib.request.Request(url + "forge-rtc/api/rooms", headers={"Authorization": "ForgeRTC-Ticket " + ticket})
print(json.load(urllib.request.urlopen(request, context=context)))
"""
"""What a kernel does with what it inherits."""

HOST = """
import os, subprocess, sys
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop

app = ServerApp(jpserver_extensions={"forge_rtc_nb": True})
app.initialize(argv=sys.argv[2:], find_extensions=False)

def probe():
    result = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
    def ended():
        if result.poll() is None:
            IOLoop.current().call_later(0.05, ended)
            return
        app.exit_status = result.returncode
        app.stop()
    ended()

IOLoop.current().call_later(0.5, probe)
app.start()
assert not [name for name in os.environ if name.startswith("FORGE_RTC_SERVER")], "left in the environment"
sys.exit(app.exit_status)
"""
"""A server that starts the probe as a child, and stops once it ended."""


@pytest.mark.parametrize("kind", ["base URL", "TLS"])
def test_a_child_of_the_server_gets_in_with_what_it_inherits(tmp_path: Path, kind: str) -> None:
    arguments = ["--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    arguments += [f"--ServerApp.root_dir={tmp_path}"]
    if kind == "TLS":
        make_certificate(tmp_path)
        arguments += [f"--ServerApp.certfile={tmp_path / 'cert.pem'}", f"--ServerApp.keyfile={tmp_path / 'key.pem'}"]
    else:
        arguments += ["--ServerApp.base_url=/some/base"]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    result = subprocess.run(
        [sys.executable, "-c", HOST, PROBE, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **own},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip().splitlines()[-1] == "[]"


def make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=jupyter.example.com", "-days", "2"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )


def test_the_config_file_in_the_package_enables_the_extension() -> None:
    path = ROOT / "jupyter-config" / "jupyter_server_config.d" / "forge_rtc_nb.json"
    assert json.loads(path.read_text()) == {"ServerApp": {"jpserver_extensions": {"forge_rtc_nb": True}}}
