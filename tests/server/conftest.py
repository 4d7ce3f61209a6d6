"""Fixtures: real Jupyter servers with the extension (test process)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import JupyterProcess

ROOT = Path(__file__).parents[2]
ENABLED = "--ServerApp.jpserver_extensions={'forge_rtc_nb': True}"
SHORT_CLOCKS = (
    "--ForgeRTC.hello_seconds=2",
    "--ForgeRTC.ping_seconds=0.2",
    "--ForgeRTC.dead_seconds=3",
    "--ForgeRTC.resume_seconds=2",
    "--ForgeRTC.empty_room_seconds=1",
    "--ForgeRTC.max_connections_per_user=2000",
    "--ForgeRTC.max_pending_per_address=8",
    "--ForgeRTC.stun_servers=stun:${FORGE_TEST_HOST}:3478",
)


def make_server(root: Path, *arguments: str) -> JupyterProcess:
    """A server with the extension, run from this folder whether or not the package is installed."""
    environ = {"PYTHONPATH": str(ROOT), "FORGE_TEST_HOST": "stun.example.com"}
    return JupyterProcess(root, arguments=(ENABLED, *arguments), environ=environ)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """The server of the session, with short clocks."""
    with make_server(tmp_path_factory.mktemp("server"), *SHORT_CLOCKS) as process:
        yield process


@pytest.fixture(scope="session")
def room_names() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def room(room_names: Iterator[int]) -> str:
    """A room that no other test uses."""
    return f"room-{next(room_names)}"


@pytest.fixture
def fresh_room(room_names: Iterator[int]) -> Callable[[], str]:
    """Makes a new room name at each call."""
    return lambda: f"room-{next(room_names)}"
