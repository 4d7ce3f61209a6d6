"""The kernel's side of its engine: requests, its death and the next one, users, forks, and messages that nobody expects."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb import control
from forge_rtc_nb.control_stream import Unpacker
from forge_rtc_nb.errors import EngineDied, NotInRoom, RTCError, RTCTimeout
from forge_rtc_nb.kernel import engine_process, ring_view
from forge_rtc_nb.kernel.engine_client import EngineClient, EngineHolder, engines
from forge_rtc_nb.kernel.requests import error_of
from forge_rtc_nb.kernel.streams import VideoStream
from tests.support import wait_for


@pytest.fixture
def client() -> Iterator[EngineClient]:
    client = engines.acquire()
    yield client
    client.release()


@pytest.fixture
def stream() -> Iterator[VideoStream]:
    stream = rtc.synthetic((96, 128), 60)
    yield stream
    stream.stop()


def kill(client: EngineClient) -> None:
    os.kill(client.pid, signal.SIGKILL)


# ---- requests ----


def test_a_request_is_answered_with_the_engines_error(client: EngineClient) -> None:
    with pytest.raises(NotInRoom, match="nowhere"):
        client.request(lambda req: control.TicketRequest(req, "nowhere", "k"), 5)
    assert client.request(lambda req: control.Leave(req, "nowhere"), 5) is None


def test_requests_of_many_threads_get_their_own_answers(client: EngineClient) -> None:
    found: list[str] = []

    def ask(room: str) -> None:
        for _ in range(20):
            with pytest.raises(NotInRoom) as caught:
                client.request(lambda req: control.TicketRequest(req, room, "k"), 10)
            found.append("right" if f"'{room}'" in str(caught.value) else "wrong")

    threads = [threading.Thread(target=ask, args=(f"room-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["right"] * 160


def test_an_engine_that_does_not_answer_is_a_timeout(client: EngineClient) -> None:
    os.kill(client.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RTCTimeout, match=r"within 0\.2 s"):
            client.request(lambda req: control.Leave(req, "r"), 0.2)
        assert client._replies == {}
    finally:
        os.kill(client.pid, signal.SIGCONT)


@pytest.mark.parametrize("code", ["room-full", "not-in-room", "nonsense", "memory", "error"])
def test_every_code_becomes_an_exception(code: str) -> None:
    error = error_of(code, "why")
    assert isinstance(error, RTCError)
    assert str(error) == "why"
    assert type(error).code == (code if code in ("room-full", "not-in-room") else "error")


def test_a_message_that_cannot_be_handled_does_not_end_the_reader(
    client: EngineClient, stream: VideoStream, caplog: pytest.LogCaptureFixture
) -> None:
    stream.latest()
    view = stream._views["rgb24"]

    def fail() -> None:
        raise RuntimeError("a bug in a listener")

    view.subscribe(fail)
    wait_for(lambda: "could not be handled" in caplog.text, what="it is logged")
    view.unsubscribe(fail)
    assert stream.read().index > 0
    with pytest.raises(NotInRoom):
        client.request(lambda req: control.TicketRequest(req, "nowhere", "k"), 5)


# ---- its death ----


def test_a_reader_learns_that_the_engine_was_killed_and_the_next_starts_another(
    client: EngineClient, stream: VideoStream
) -> None:
    frames = iter(stream)
    next(frames)
    kill(client)
    with pytest.raises(EngineDied, match="killed by SIGKILL"):
        for _ in frames:
            pass
    assert stream.latest().array.any()
    assert engines._client is not client
    assert list(frames) == []


def test_a_request_under_way_learns_of_the_death(client: EngineClient) -> None:
    os.kill(client.pid, signal.SIGSTOP)
    threading.Timer(0.2, kill, (client,)).start()
    start = time.monotonic()
    with pytest.raises(EngineDied, match="killed by SIGKILL"):
        client.request(lambda req: control.Leave(req, "r"), 30)
    assert time.monotonic() - start < 5
    with pytest.raises(EngineDied, match="killed by SIGKILL"):
        client.request(lambda req: control.Leave(req, "r"), 30)


def test_a_waiting_coroutine_learns_of_the_death(client: EngineClient) -> None:
    import asyncio

    slow = rtc.synthetic((96, 128), 0.1)

    async def read() -> None:
        await slow.aread()
        threading.Timer(0.1, kill, (client,)).start()
        await slow.aread(timeout=None)

    with pytest.raises(EngineDied):
        asyncio.run(read())
    slow.stop()


def test_the_error_names_the_exit_code_and_the_end_of_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(2, b'x' * 5000 + b'no codecs here')\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    client = EngineClient()
    with pytest.raises(EngineDied) as caught:
        client.request(lambda req: control.Leave(req, "r"), 10)
    assert "exit code 3" in str(caught.value)
    assert "no codecs here" in str(caught.value)
    assert "Join again" in str(caught.value)
    assert len(str(caught.value)) < 3000
    client.release()


def test_one_death_raised_often_does_not_collect_tracebacks(client: EngineClient) -> None:
    kill(client)
    wait_for(lambda: client._died, what="it is noticed")
    depths = []
    for _ in range(3):
        with pytest.raises(EngineDied) as caught:
            client.send(control.Leave(1, "r"))
        depths.append(len(caught.traceback))
    assert depths[0] == depths[-1]


def test_a_stream_that_cannot_be_ours_is_the_end_of_that_engine(
    client: EngineClient, stream: VideoStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "STOP_TIMEOUT", 0.3)
    frames = iter(stream)
    next(frames)

    def feed(self: Unpacker, data: bytes) -> Iterator[Any]:
        raise ValueError("a length of 4 GiB")

    monkeypatch.setattr(Unpacker, "feed", feed)
    with pytest.raises(EngineDied, match="control connection broke"):
        for _ in frames:
            pass
    wait_for(lambda: not psutil.pid_exists(client.pid), what="that engine is ended")


# ---- users ----


def test_the_engine_runs_while_somebody_uses_it() -> None:
    holder = EngineHolder()
    first, second = holder.acquire(), holder.acquire()
    assert first is second
    pid = first.pid
    first.release()
    assert first.alive
    second.release()
    assert not psutil.pid_exists(pid)
    third = holder.acquire()
    assert third is not first
    third.release()


def test_letting_go_and_taking_at_the_same_time_never_gives_a_dead_engine() -> None:
    holder = EngineHolder()
    failures: list[BaseException] = []
    end = time.monotonic() + 3

    def use() -> None:
        try:
            while time.monotonic() < end:
                client = holder.acquire()
                client.request(lambda req: control.Leave(req, "r"), 10)
                client.release()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert holder._client is not None
    assert not holder._client.alive


def test_closing_wakes_whoever_waits() -> None:
    client = EngineHolder().acquire()
    os.kill(client.pid, signal.SIGSTOP)
    pid = client.pid
    threading.Timer(0.2, client.close).start()
    threading.Timer(0.4, os.kill, (pid, signal.SIGCONT)).start()
    with pytest.raises(NotInRoom, match="closed"):
        client.request(lambda req: control.Leave(req, "r"), 30)
    wait_for(lambda: not psutil.pid_exists(pid), what="the engine ends")


def test_the_last_stream_ends_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.2)
    stream = rtc.synthetic((96, 128), 60)
    stream.latest()
    assert engines._client is not None
    client, pid = engines._client, engines._client.pid
    wait_for(lambda: not client.alive and not psutil.pid_exists(pid), what="the engine ends by itself")
    assert stream.latest().index >= 0
    stream.stop()
    assert not engines._client.alive


# ---- starting ----


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=os.environ | environ,
    )


def test_too_small_an_address_space_is_an_error_and_no_silence() -> None:
    done = run("""
        import resource
        import forge_rtc_nb as rtc
        from forge_rtc_nb.kernel.engine_client import engines
        client = engines.acquire()
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
        try:
            rtc.synthetic((96, 128)).latest(timeout=5)
        except rtc.RTCError as error:
            print("RTCError", error)
    """)
    assert "cannot be mapped" in done.stdout, done.stderr


def test_a_users_file_does_not_become_the_engines_module(tmp_path: Any) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('the wrong av')")
    done = run(f"""
        import os
        os.chdir({str(tmp_path)!r})
        import forge_rtc_nb as rtc
        stream = rtc.synthetic((96, 128))
        print(stream.latest().array.shape)
    """)
    assert done.stdout.strip() == "(96, 128, 3)", done.stderr


def test_the_engine_finds_the_package_where_the_kernel_found_it(monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.path.dirname(os.path.dirname(os.path.abspath(rtc.__file__)))
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    monkeypatch.setattr(site, "getsitepackages", list)
    assert engine_process._environment()["PYTHONPATH"] == f"{home}{os.pathsep}/theirs"
    monkeypatch.setattr(site, "getsitepackages", lambda: [home])
    assert engine_process._environment()["PYTHONPATH"] == "/theirs"


def test_an_interpreter_that_ends_takes_the_engine_with_it() -> None:
    done = run("""
        import forge_rtc_nb as rtc
        from forge_rtc_nb.kernel.engine_client import engines
        stream = rtc.synthetic((96, 128))
        stream.latest()
        frames = iter(stream)
        next(frames)
        print(engines._client.pid)
    """)
    assert done.returncode == 0
    assert done.stderr == ""
    wait_for(lambda: not psutil.pid_exists(int(done.stdout)), what="the engine ends")


def test_the_engine_is_no_zombie_after_its_end(client: EngineClient) -> None:
    kill(client)
    wait_for(lambda: client._died, what="it is noticed")
    wait_for(lambda: not psutil.pid_exists(client.pid), what="it is waited for")
