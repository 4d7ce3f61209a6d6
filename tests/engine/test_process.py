"""The engine as a process: it outlives what it should outlive, ends when it should, and leaves rooms politely."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from forge_rtc_nb.kernel.engine_process import EngineProcess
from tests.server.client import Client
from tests.support import JupyterProcess, wait_for

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs Python code in a process with a session of its own; kills what is left of that session at the end."""
    processes: list[subprocess.Popen[str]] = []

    def run(code: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | environ,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def room_id() -> str:
    return f"process-{secrets.token_hex(4)}"


# ---- its end ----


def test_it_ends_at_once_when_its_kernel_closes_the_pipe() -> None:
    engine = EngineProcess()
    assert not is_gone(engine.pid)
    start = time.monotonic()
    engine.close()
    engine.close()
    assert is_gone(engine.pid)
    assert time.monotonic() - start < 4  # it was asked, not killed: that comes after 5 s
    assert engine._process.returncode == 0


ENGINE_ALONE = """
    import os, time
    from forge_rtc_nb.kernel.engine_process import EngineProcess
    engine = EngineProcess()
    if {fork} and os.fork() == 0:
        time.sleep(600)
    try:
        print(engine.pid, flush=True)  # the interrupt may come at once
        while True:
            time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("fork", [False, True], ids=["alone", "a forked child holds the pipe"])
def test_it_ends_when_its_kernel_was_killed(start: Start, fork: bool) -> None:
    kernel = start(ENGINE_ALONE.format(fork=fork))
    pid = int(line_of(kernel))
    kernel.kill()
    wait_for(lambda: is_gone(pid), 3, "the engine ends")


def test_it_ends_when_its_kernel_was_killed_before_it_was_ready(start: Start) -> None:
    for _ in range(3):
        kernel = start("""
            import os, signal
            from forge_rtc_nb.kernel.engine_process import EngineProcess
            print(EngineProcess().pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """)
        pid = int(line_of(kernel))
        wait_for(lambda: is_gone(pid), 5, "the engine ends")  # noqa: B023


def test_an_interrupt_of_the_kernel_does_not_reach_it(start: Start) -> None:
    kernel = start(ENGINE_ALONE.format(fork=False))
    pid = int(line_of(kernel))
    os.killpg(kernel.pid, signal.SIGINT)
    assert line_of(kernel) == "interrupted"
    assert not is_gone(pid)
    assert os.getpgid(pid) != kernel.pid
    kernel.kill()
    wait_for(lambda: is_gone(pid), 3, "the engine ends")


def open_files(pid: int) -> list[str]:
    """What the descriptors of a process refer to."""
    links = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return links


def test_it_inherits_only_the_descriptors_that_it_needs() -> None:
    with open(os.devnull) as stranger:
        os.set_inheritable(stranger.fileno(), True)
        engine = EngineProcess()
        try:
            wait_for(lambda: psutil.Process(engine.pid).num_fds() > 6, what="it runs")
            # A library that asks ldconfig while it is imported opens /dev/null for a moment; what is inherited stays.
            wait_for(lambda: os.devnull not in open_files(engine.pid), what="the stranger is not there")
            assert sum("forge_rtc_nb" in link and "memfd" in link for link in open_files(engine.pid)) == 2
        finally:
            engine.close()


# ---- rooms ----

JOIN = """
    import os, time
    import forge_rtc_nb as rtc
    room = rtc.join("{room}", server=os.environ["SERVER"], name="doomed")
    if {fork} and os.fork() == 0:
        time.sleep(600)
    print("joined", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("fork", [False, True], ids=["alone", "a forked child lives on"])
def test_others_see_a_killed_kernel_leave(jupyter: JupyterProcess, start: Start, fork: bool) -> None:
    room = room_id()
    with Client(jupyter, room) as observer:
        observer.hello()
        kernel = start(JOIN.format(room=room, fork=fork), SERVER=jupyter.url, FORGE_RTC_TOKEN=jupyter.token)
        doomed = observer.wait_for("room.joined")["participant"]
        assert (doomed["name"], doomed["kind"]) == ("doomed", "kernel")
        assert line_of(kernel) == "joined"
        killed = time.monotonic()
        kernel.kill()
        left = observer.wait_for("room.left")
        assert left == {"type": "room.left", "participant_id": doomed["id"]}  # the reason "left" is the default
        assert time.monotonic() - killed < 4


# ---- by hand ----


@pytest.fixture
def by_hand(jupyter: JupyterProcess) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "forge_rtc_nb.engine", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"FORGE_RTC_TOKEN": jupyter.token} | environ,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_started_by_hand_it_joins_prints_what_happens_and_leaves(
    jupyter: JupyterProcess, by_hand: Callable[..., subprocess.Popen[str]]
) -> None:
    room = room_id()
    with Client(jupyter, room) as observer:
        me = observer.hello(name="watcher")["participant"]
        engine = by_hand(jupyter.url.rstrip("/"), room, "--name", "headless")
        welcome = json.loads(line_of(engine))
        assert (welcome["type"], welcome["room"], welcome["me"]["name"]) == ("Welcomed", room, "headless")
        assert [person["id"] for person in welcome["participants"]] == [me["id"]]
        observer.wait_for("room.joined")
        stream = {"id": "camera-1", "name": "camera", "kind": "video", "source": "camera"}
        observer.send("room.updated", streams=[stream])
        while (event := json.loads(line_of(engine)))["type"] != "ParticipantUpdated":
            assert event["type"] in ("RoomState", "Reply")
        assert event["participant"]["streams"][0]["id"] == "camera-1"
        engine.send_signal(signal.SIGINT)
        assert "reason" not in observer.wait_for("room.left")  # "left", the default
        assert engine.wait(5) == 0
        assert jupyter.token not in engine.communicate()[0]


def test_by_hand_a_refusal_is_printed_and_is_the_exit_status(
    jupyter: JupyterProcess, by_hand: Callable[..., subprocess.Popen[str]]
) -> None:
    engine = by_hand(jupyter.url, room_id(), FORGE_RTC_TOKEN="wrong")
    reply = json.loads(line_of(engine))
    assert (reply["type"], reply["error"]) == ("Reply", "unauthorized")
    assert jupyter.url in reply["message"]
    assert engine.wait(5) == 1


def test_by_hand_a_deleted_room_ends_it(jupyter: JupyterProcess, by_hand: Callable[..., subprocess.Popen[str]]) -> None:
    room = room_id()
    engine = by_hand(jupyter.url, room)
    line_of(engine)
    jupyter.request("DELETE", f"forge-rtc/api/rooms/{room}")
    printed, _ = engine.communicate(timeout=5)
    last = json.loads(printed.splitlines()[-1])
    assert (last["type"], last["state"]) == ("RoomState", "closed")
    assert engine.returncode == 1


@pytest.mark.parametrize("arguments", [[], ["http://127.0.0.1:1/"]])
def test_by_hand_without_a_room_it_says_how(by_hand: Callable[..., subprocess.Popen[str]], arguments: list[str]) -> None:
    engine = by_hand(*arguments)
    _, errors = engine.communicate(timeout=10)
    assert engine.returncode == 2
    assert "give the server's URL and a room" in errors
    assert "--control" not in errors


def test_a_log_level_that_there_is_not_keeps_nobody_from_a_room(
    jupyter: JupyterProcess, by_hand: Callable[..., subprocess.Popen[str]]
) -> None:
    engine = by_hand(jupyter.url, room_id(), FORGE_RTC_LOG="1")
    assert json.loads(line_of(engine))["type"] == "Welcomed"
    engine.send_signal(signal.SIGINT)
    _, errors = engine.communicate(timeout=10)
    assert "FORGE_RTC_LOG=1 is no level: use DEBUG" in errors
