"""`%rtc` and `%%rtc frames` in IPython's own shell, against the real server."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.joining import joined
from forge_rtc_nb.magics import Table
from tests.server.client import Client
from tests.support import JupyterProcess, free_port, wait_for


class Shell:
    """An IPython shell without history on disk, in which the extension is loaded."""

    def __init__(self) -> None:
        quiet = Config({"HistoryManager": {"enabled": False}})
        # A module of its own: the shell would put its namespace in the place of the process's __main__.
        self.shell = InteractiveShell(config=quiet, user_module=ModuleType("magics_test"))
        self.run("%load_ext forge_rtc_nb")

    def run(self, cell: str) -> Any:
        """Value of a cell's last line; raises what the cell raised."""
        done = self.shell.run_cell(cell)
        done.raise_error()
        return done.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __setitem__(self, name: str, value: object) -> None:
        self.shell.user_ns[name] = value


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No way to any server."""
    for name in list(os.environ):
        if name.startswith(("FORGE_RTC_SERVER", "JUPYTERHUB_", "JPY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


@pytest.fixture
def inside(outside: None, jupyter: JupyterProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's server is the parent of this process, as far as that can tell."""
    monkeypatch.setenv("JPY_PARENT_PID", str(jupyter.pid))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(jupyter.runtime_dir))


@pytest.fixture
def shell(outside: None) -> Iterator[Shell]:
    shell = Shell()
    yield shell
    for room in joined.rooms():
        room.leave()


@pytest.fixture
def room_id() -> str:
    return f"magic-{secrets.token_hex(4)}"


def engines() -> list[int]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends at this moment
            if "forge_rtc_nb.engine" in child.cmdline():
                found.append(child.pid)
    return found


# The extension

LOADED = """
import threading, psutil
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
me, threads = psutil.Process(), threading.active_count()
shell.run_line_magic("load_ext", "forge_rtc_nb")
assert "rtc" in shell.magics_manager.magics["line"] and "rtc" in shell.magics_manager.magics["cell"]
print(len(me.children()), len(me.net_connections()), threading.active_count() - threads)
"""


def test_loading_the_extension_registers_and_opens_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0"]


def test_help_names_every_command_and_option(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run("%rtc?")
    help_text = capsys.readouterr().out
    for words in (
        *("%rtc join ROOM [as VARIABLE]", "%rtc rooms", "%rtc who [ROOM]", "%rtc leave [ROOM]"),
        *("%%rtc frames STREAM [-n COUNT] [--format FORMAT]", "rgb24", "bgr24", "gray", "yuv420p", "interrupt"),
    ):
        assert words in help_text


# %rtc


@pytest.mark.usefixtures("inside")
def test_joining_binds_the_room_and_shows_it(shell: Shell, room_id: str) -> None:
    room = shell.run(f"%rtc join {room_id}")
    assert shell["room"] is room
    assert (room.id, room.state) == (room_id, "joined")
    other = shell.run(f"wanted = '{room_id}-2'\n%rtc join {{wanted}} as other")
    assert shell["other"] is other
    assert (other.id, shell["room"]) == (f"{room_id}-2", room)


@pytest.mark.usefixtures("inside")
def test_rooms_lists_the_servers_rooms_and_who_is_in_them(shell: Shell, jupyter: JupyterProcess, room_id: str) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann <b>")
        table = shell.run("%rtc rooms")
        assert isinstance(table, Table)
        assert [room_id, "Ann <b>"] in table.rows
        assert "Ann &lt;b&gt;" in table._repr_html_()
        assert repr(table).splitlines()[0].split() == ["room", "participants"]
    assert engines() == []


@pytest.mark.usefixtures("inside")
def test_who_lists_everybody_in_the_rooms_that_this_kernel_is_in(shell: Shell, jupyter: JupyterProcess, room_id: str) -> None:
    shell.run(f"%rtc join {room_id}-2 as other")
    room = shell.run(f"%rtc join {room_id}")
    with Client(jupyter, room_id) as tab:
        camera = {"id": "camera-00000001", "name": "camera", "kind": "video", "source": "camera"}
        tab.hello(name="Ann", streams=[camera])
        room.wait_for("Ann")
        table = shell.run(f"%rtc who {room_id}")
        assert table.head == ["room", "name", "kind", "user", "state", "sends"]
        assert [row[:3] for row in table.rows] == [[room_id, room.me.name, "kernel"], [room_id, "Ann", "browser"]]
        assert table.rows[1][4:] == ["connected", "camera"]
        assert {row[0] for row in shell.run("%rtc who").rows} == {room_id, f"{room_id}-2"}


@pytest.mark.usefixtures("inside")
def test_leave_leaves_one_room_or_all(shell: Shell, room_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    rooms = [shell.run(f"%rtc join {room_id}-{number} as r{number}") for number in range(3)]
    shell.run(f"%rtc leave {room_id}-1")
    assert [room.state for room in rooms] == ["joined", "left", "joined"]
    shell.run("%rtc leave")
    assert [room.state for room in rooms] == ["left"] * 3
    assert capsys.readouterr().out.split("\n")[-4:-1] == [f"left {room_id}-{number}" for number in (1, 0, 2)]
    with pytest.raises(UsageError, match="in no room; it is in: none"):
        shell.run("%rtc leave")


@pytest.mark.usefixtures("inside")
def test_a_room_that_this_kernel_is_not_in_is_named_with_those_that_it_is_in(shell: Shell, room_id: str) -> None:
    shell.run(f"%rtc join {room_id}")
    for command in ("who", "leave"):
        with pytest.raises(UsageError, match=f"in no room elsewhere; it is in: {room_id}"):
            shell.run(f"%rtc {command} elsewhere")


def test_without_a_server_every_way_that_was_tried_is_listed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_RTC_SERVER_URL", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setenv("FORGE_RTC_SERVER_SECRET", secret := secrets.token_hex(16))
    with pytest.raises(UsageError) as caught:
        shell.run("%rtc rooms")
    text = str(caught.value)
    assert text.startswith("no server to ask:\n")
    for words in ("the extension's environment", "nothing listens there", "JUPYTERHUB_API_TOKEN", "JPY_PARENT_PID"):
        assert words in text
    assert secret not in text
    with pytest.raises(rtc.SignalingError, match="no way to a Jupyter server"):
        shell.run("%rtc join r")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%rtc", "join ROOM [as VARIABLE] | rooms | who"),
        ("%rtc jion r", "join ROOM [as VARIABLE] | rooms | who"),
        ("%rtc join", "%rtc join ROOM [as VARIABLE]"),
        ("%rtc join a b", "%rtc join ROOM [as VARIABLE]"),
        ("%rtc join a as", "%rtc join ROOM [as VARIABLE]"),
        ("%rtc join a as 1x", "%rtc join ROOM [as VARIABLE]"),
        ("%rtc join a as class", "%rtc join ROOM [as VARIABLE]"),
        ("%rtc rooms now", "takes nothing more"),
        ("%%rtc\npass", "%%rtc has one command, frames"),
        ("%%rtc join r\npass", "%%rtc has one command, frames"),
        ("%%rtc frames\npass", "needs a video stream"),
        ("%%rtc frames -n 3\npass", "needs a video stream"),
        ("%%rtc frames 1 + 1\npass", "needs a video stream"),
        ("%%rtc frames cam -n\npass", "-n takes a value"),
        ("%%rtc frames --format cam --format\npass", "--format takes a value"),
        ("%%rtc frames cam -n 0\npass", "number of frames above 0, not '0'"),
        ("%%rtc frames cam -n -1\npass", "number of frames above 0, not '-1'"),
        ("%%rtc frames cam -n many\npass", "number of frames above 0, not 'many'"),
        ("%%rtc frames cam --format jpeg\npass", "--format 'jpeg': use one of rgb24"),
    ],
)
def test_wrong_use_is_told_in_one_line(shell: Shell, line: str, words: str) -> None:
    shell["cam"] = rtc.synthetic(size=(16, 16))
    with pytest.raises(UsageError) as caught:
        shell.run(line)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert engines() == []


def test_a_bad_room_id_is_the_users_own_error(shell: Shell) -> None:
    with pytest.raises(rtc.InvalidRoomId):
        shell.run("%rtc join a/b")


# %%rtc frames


@pytest.fixture
def cam(shell: Shell) -> rtc.VideoStream:
    stream = rtc.synthetic(size=(48, 64), fps=120)
    shell["cam"], shell["seen"] = stream, []
    return stream


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("cam -n 3", (48, 64, 3)),
        ("-n 3 cam", (48, 64, 3)),
        ("cam -n=3 --format gray", (48, 64)),
        ("--format=yuv420p cam -n 3", (72, 64)),
    ],
)
@pytest.mark.usefixtures("cam")
def test_a_cell_runs_once_for_each_frame(shell: Shell, line: str, shape: tuple[int, ...]) -> None:
    shell.run(f"%%rtc frames {line}\nshape = frame.array.shape\nif True:\n    seen.append(frame.index)")
    indices = shell["seen"]
    assert (len(indices), shell["shape"]) == (3, shape)
    assert indices == sorted(set(indices))
    assert isinstance(shell["frame"], rtc.Frame)


@pytest.mark.parametrize(
    "expression",
    [
        'cams["a b"]',
        "cams['a -n 5 b']",
        'pick( "a b" )',
        'pick(who="--format x")',
        'cams["a b"] if len(cams) -1 else None',
        "[cams[key] for key in cams][-1]",
    ],
)
def test_the_stream_is_any_expression(shell: Shell, cam: rtc.VideoStream, expression: str) -> None:
    shell["cams"] = {"a b": cam, "a -n 5 b": cam}
    shell["pick"] = lambda who: cam if who in {"a b", "--format x"} else None
    shell.run(f"%%rtc frames {expression} -n 2\nseen.append(frame.format)")
    assert shell["seen"] == ["rgb24", "rgb24"]


@pytest.mark.usefixtures("cam")
def test_magics_work_within_the_cell_and_its_errors_end_it(shell: Shell) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        shell.run("%%rtc frames cam\nhere = %pwd\nseen.append(frame.index)\nif len(seen) == 2: 1 / 0")
    assert (len(shell["seen"]), shell["here"]) == (2, os.getcwd())
    assert str(caught.traceback[-1].statement) == "if len(seen) == 2: 1 / 0"
    with pytest.raises(SyntaxError):
        shell.run("%%rtc frames cam\nseen.append(")
    wait_for(lambda: not engines(), what="the end of the engine")


@pytest.mark.parametrize(
    ("cell", "fps"),
    [("see(frame)\nwhile True: threading.Event().wait(0.01)", 100), ("see(frame)", 1)],
    ids=["in the cell", "between two frames"],
)
def test_interrupting_ends_it_and_lets_the_stream_go(shell: Shell, cell: str, fps: float) -> None:
    shell["cam"], shell["seen"], shell["threading"] = rtc.synthetic(size=(16, 16), fps=fps), [], threading
    first = threading.Event()

    def interrupt() -> None:
        if first.wait(20):
            os.kill(os.getpid(), signal.SIGINT)

    def see(frame: rtc.Frame) -> None:
        shell["seen"].append(frame.index)
        if len(shell["seen"]) == 1:
            first.set()

    shell["see"] = see
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        shell.run(f"%%rtc frames cam\n{cell}")
    thread.join()
    assert len(shell["seen"]) == 1
    shell["cam"].stop()
    wait_for(lambda: not engines(), what="the end of the engine")


@pytest.mark.usefixtures("cam")
def test_it_ends_with_the_stream(shell: Shell) -> None:
    shell.run("%%rtc frames cam\nseen.append(frame.index)\nif len(seen) == 3: cam.stop()")
    assert len(shell["seen"]) >= 3
    wait_for(lambda: not engines(), what="the end of the engine")
