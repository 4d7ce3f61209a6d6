"""Each way by which a kernel finds and enters its server, in kernels that the real server started."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote_kernel import RemoteKernel
from tests.server.client import Client, eventually_listed
from tests.support import JupyterProcess, free_port, wait_for

PREPARE = """
import os
import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.joining import joined
started_with = dict(os.environ)
def no_way_in():
    for name in list(os.environ):
        if name.startswith(("FORGE_RTC_", "JUPYTERHUB_", "JPY_")): del os.environ[name]
"""
START_AGAIN = """
for room in joined.rooms(): room.leave()
os.environ.clear(); os.environ.update(started_with)
"""


@pytest.fixture(scope="module")
def one_kernel(jupyter: JupyterProcess) -> Iterator[RemoteKernel]:
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        kernel.run(PREPARE)
        yield kernel


@pytest.fixture
def kernel(one_kernel: RemoteKernel) -> Iterator[RemoteKernel]:
    """A kernel that the server started, as at its start."""
    yield one_kernel
    one_kernel.run(START_AGAIN)


@pytest.fixture
def room_id() -> str:
    return f"way-{secrets.token_hex(4)}"


def state(kernel: RemoteKernel) -> Any:
    return kernel.evaluate("[room.state, room.widget.status]")


# With credentials of its own


def test_the_environment_that_the_extension_gives_its_kernels(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    kernel.run(f"os.environ.pop('JPY_PARENT_PID'); room = rtc.join('{room_id}')")
    assert state(kernel) == ["joined", "joined"]
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == kernel.evaluate("room.me.id")


def test_the_running_server_that_started_the_kernel(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    kernel.run("for name in [n for n in os.environ if n.startswith('FORGE_RTC_')]: os.environ.pop(name)")
    assert kernel.evaluate("os.environ['JPY_PARENT_PID']") == str(jupyter.pid)
    kernel.run(f"room = rtc.join('{room_id}')")
    assert state(kernel) == ["joined", "joined"]
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == kernel.evaluate("room.me.id")


def test_a_server_that_is_named(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    kernel.run(f"no_way_in(); room = rtc.join('{room_id}', server='{jupyter.url}?token={jupyter.token}')")
    assert state(kernel) == ["joined", "joined"]
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == kernel.evaluate("room.me.id")


def test_a_way_that_does_not_work_is_followed_by_the_next(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    kernel.run("os.environ['FORGE_RTC_SERVER_SECRET'] = 'f' * 43  # of a server that was restarted since")
    kernel.run(f"room = rtc.join('{room_id}')")
    assert state(kernel) == ["joined", "joined"]
    assert len(eventually_listed(jupyter, room_id, 1)) == 1


def test_a_named_server_that_refuses_is_an_error_also_in_a_notebook(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    wrong = secrets.token_hex(8)
    kernel.run(
        f"no_way_in()\ntry: rtc.join('{room_id}', server='{jupyter.url}?token={wrong}')\nexcept rtc.RTCError as e: error = e"
    )
    kind, text = kernel.evaluate("[type(error).__name__, str(error)]")
    assert kind == "Unauthorized"
    assert text.startswith(f"the server= argument ({jupyter.url}): ")
    assert "jupyter server list" in text
    assert wrong not in text
    assert kernel.evaluate("len(joined.rooms())") == 0


def test_a_kernel_is_called_like_its_notebook(kernel: RemoteKernel, room_id: str) -> None:
    kernel.run(f"os.environ['JPY_SESSION_NAME'] = '/home/jo/analysis 1.ipynb'; room = rtc.join('{room_id}')")
    assert kernel.evaluate("room.me.name") == "analysis 1"
    kernel.run(f"me = room.me.id; room = rtc.join('{room_id}', name='Ann')")
    assert kernel.evaluate("[room.me.name, room.me.id == me]") == ["Ann", False]
    kernel.run(f"me = room.me.id; room = rtc.join('{room_id}')")
    assert kernel.evaluate("[room.me.name, room.me.id == me]") == ["Ann", True]


# With a ticket from the browser


def waiting(kernel: RemoteKernel, room_id: str, options: str = "") -> None:
    """Join a room from a kernel that knows no way in."""
    kernel.run(f"no_way_in(); room = rtc.join('{room_id}'{options})", timeout=5)
    assert state(kernel) == ["waiting", "waiting"]


def offer(kernel: RemoteKernel, ticket: str, url: str) -> None:
    """What the widget in the page sends by its comm."""
    kernel.run(f"room.widget._handle_custom_msg({{'type': 'ticket.offer', 'url': '{url}', 'ticket': '{ticket}'}}, [])")


def buy(jupyter: JupyterProcess, room_id: str, kind: str = "kernel") -> str:
    """A ticket, as the page gets it from its server."""
    ticket: str = jupyter.request("POST", "forge-rtc/api/tickets", {"room": room_id, "kind": kind})["ticket"]
    return ticket


def test_a_ticket_from_the_browser_brings_a_waiting_kernel_in(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    waiting(kernel, room_id, ", name='Ann'")
    assert kernel.evaluate("[repr(room), len(room.participants)]") == [f"<Room '{room_id}': waiting, 0 participants>", 0]
    assert "waiting for the browser" in kernel.evaluate("room.widget.detail")
    with Client(jupyter, room_id) as tab:
        me = tab.hello(name="tab")["participant"]["id"]
        offer(kernel, buy(jupyter, room_id), jupyter.url)
        joined = tab.wait_for("room.joined")["participant"]
        assert (joined["name"], joined["kind"]) == ("Ann", "kernel")
        assert kernel.evaluate("[p.id for p in room.wait_for(2)]") == [joined["id"], me]
        wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")
        assert kernel.evaluate("[room.widget.kernel_id, room.widget.detail]") == [joined["id"], ""]
        # The cell run again: it has no other way than before, and needs none.
        kernel.run(f"room = rtc.join('{room_id}')")
        assert state(kernel) == ["joined", "joined"]
        assert kernel.evaluate("room.me.id") == joined["id"]
        assert tab.sync() == []


def test_calls_of_a_waiting_room_say_what_to_do(kernel: RemoteKernel, room_id: str) -> None:
    waiting(kernel, room_id)
    code = """
texts = []
for call in (lambda: room.me, lambda: room.camera.latest(0.1), lambda: room.wait_for(1, timeout=0.1), room.ticket):
    try: call()
    except rtc.RTCError as error: texts.append([type(error).__name__, str(error)])
"""
    kernel.run(code)
    assert kernel.evaluate("texts") == [
        ["NotInRoom", "this kernel is not in the room yet: show the room's widget, it brings it in"],
        [
            "StreamNotFound",
            "no browser tab shows this room yet: display it (`room` on the last line of a cell) and click Camera in it",
        ],
        ["RTCTimeout", "waited 0.1 s for 1; in the room: "],
        ["NotInRoom", "this kernel is not in the room yet: show the room's widget, it brings it in"],
    ]


def test_a_ticket_that_is_no_good_leaves_it_waiting_with_the_reason(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    waiting(kernel, room_id)
    bad = [
        ("nonsense", "this token's signature or form is not valid"),
        (buy(jupyter, f"{room_id}-2"), "this ticket is for another room"),
        (buy(jupyter, room_id, "browser"), "this ticket is for a browser, not for a kernel"),
    ]
    kernel.run("told = []; room.widget.send = lambda content, buffers=None: told.append(content['type'])")
    for ticket, why in bad:
        kernel.run("room.widget.detail = ''; told.clear()")
        offer(kernel, ticket, jupyter.url)
        # So that the page offers another one.
        wait_for(lambda: kernel.evaluate("told") == ["offer.refused"], what="the refusal")
        assert state(kernel) == ["waiting", "waiting"]
        where = f"a ticket from the browser ({jupyter.url})"
        assert kernel.evaluate("room.widget.detail") == f"the server refused this notebook: {where}: {why}"
    kernel.run("room.widget.detail = ''")
    offer(kernel, "nonsense", f"http://127.0.0.1:{free_port()}/")
    wait_for(lambda: "refused" in kernel.evaluate("room.widget.detail"), what="the reason")
    # A good one still does.
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")


def test_a_failure_that_nobody_foresaw_is_shown_and_logged_and_a_good_ticket_still_does(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    waiting(kernel, room_id)
    code = """
import logging
from forge_rtc_nb.kernel.room import engines
logged, told, acquire = [], [], engines.acquire
handler = logging.Handler()
handler.emit = lambda record: logged.append(str(record.exc_info and record.exc_info[1]))
logging.getLogger("forge_rtc_nb").addHandler(handler)
def fail(): raise OSError("no more processes")
engines.acquire = fail
send = room.widget.send
room.widget.send = lambda content, buffers=None: told.append(content['type'])
"""
    kernel.run(code)
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    wait_for(lambda: kernel.evaluate("told") == ["offer.refused"], what="the refusal")
    assert kernel.evaluate("[room.widget.detail, logged]") == [
        "this notebook could not enter: OSError: no more processes",
        ["no more processes"],
    ]
    assert state(kernel) == ["waiting", "waiting"]
    kernel.run("engines.acquire, room.widget.send = acquire, send")
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")


def test_of_several_cells_that_show_the_room_one_brings_it_in(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    waiting(kernel, room_id)
    tickets = [buy(jupyter, room_id) for _ in range(3)]
    message = f"{{'type': 'ticket.offer', 'url': '{jupyter.url}', 'ticket': ticket}}"
    kernel.run(f"for ticket in {tickets}: room.widget._handle_custom_msg({message}, [])")
    wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == kernel.evaluate("room.me.id")
    kernel.run("room.leave()")
    eventually_listed(jupyter, room_id, 0)
    engines = "[c.pid for c in psutil.Process().children() if 'forge_rtc_nb.engine' in c.cmdline()]"
    assert kernel.run(f"import psutil; print({engines})").strip() == "[]"


def test_messages_that_no_page_of_ours_sends_change_nothing(kernel: RemoteKernel, room_id: str) -> None:
    waiting(kernel, room_id)
    kernel.run("for content in (None, 7, [], {}, {'type': 'x'}): room.widget._handle_custom_msg(content, [])")
    assert state(kernel) == ["waiting", "waiting"]


def test_joining_again_while_waiting_goes_on_waiting_in_the_same_cells(
    kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str
) -> None:
    waiting(kernel, room_id, ", name='Ann'")
    kernel.run(f"old, widget = room, room.widget; room = rtc.join('{room_id}')")
    assert state(kernel) == ["waiting", "waiting"]
    assert kernel.evaluate("[old.state, room.widget is widget]") == ["left", True]
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")
    assert [person["name"] for person in eventually_listed(jupyter, room_id, 1)] == ["Ann"]
    kernel.run("room.leave()")
    eventually_listed(jupyter, room_id, 0)


def test_leaving_while_waiting(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    waiting(kernel, room_id)
    kernel.run("room.leave()")
    assert state(kernel) == ["left", "left"]
    assert kernel.evaluate("len(joined.rooms())") == 0
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    kernel.run("import threading\nfor t in threading.enumerate():\n    if t.name == 'forge-rtc-ticket': t.join()")
    assert state(kernel) == ["left", "left"]
    assert room_id not in {room["id"] for room in jupyter.request("GET", "forge-rtc/api/rooms")}


# Tickets that a kernel gives to a tab

ASK = """
import json, threading
sent = []
room.widget.send = lambda content, buffers=None: sent.append(content)
room.widget._handle_custom_msg({"type": "ticket.request"}, [])
for t in threading.enumerate():
    if t.name == 'forge-rtc-ticket': t.join()
"""


@pytest.mark.parametrize("way", ["secret", "token"])
def test_a_kernel_gives_its_tab_a_ticket(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str, way: str) -> None:
    if way == "token":
        kernel.run("for name in [n for n in os.environ if n.startswith('FORGE_RTC_')]: os.environ.pop(name)")
    kernel.run(f"room = rtc.join('{room_id}')")
    kernel.run(ASK)
    direct, (message,) = kernel.evaluate("[room.ticket(), sent]")
    assert (message["type"], message["url"], direct["url"]) == ("ticket", jupyter.url, jupyter.url)
    for ticket in (message["ticket"], direct["ticket"]):
        with Client(jupyter, room_id, credentials={}) as tab:
            tab.send("room.hello", version=1, kind="kernel", ticket=ticket)
            assert tab.receive()["code"] == "unauthorized"
        with Client(jupyter, room_id, credentials={}) as tab:
            welcome = tab.hello(ticket=ticket)
            assert welcome["participant"]["kind"] == "browser"
            assert kernel.evaluate("room.me.id") in {other["id"] for other in welcome["participants"]}
        with Client(jupyter, room_id, credentials={}) as again:
            again.send("room.hello", version=1, kind="browser", ticket=ticket)
            assert "used already" in again.receive()["message"]


def test_a_kernel_that_came_by_a_ticket_gives_none_away(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    waiting(kernel, room_id)
    offer(kernel, buy(jupyter, room_id), jupyter.url)
    wait_for(lambda: state(kernel) == ["joined", "joined"], what="joined")
    kernel.run(ASK)
    (message,) = kernel.evaluate("sent")
    assert (message["type"], "open the notebook in JupyterLab" in message["message"]) == ("ticket.refused", True)


# Secrets


def test_no_repr_or_trait_holds_a_secret(kernel: RemoteKernel, jupyter: JupyterProcess, room_id: str) -> None:
    kernel.run(f"room = rtc.join('{room_id}'); other = rtc.join('{room_id}-2', server='{jupyter.url}?token={jupyter.token}')")
    ticket = kernel.evaluate("room.ticket()['ticket']")
    shown = kernel.run(
        "from forge_rtc_nb.control import Join\nfrom forge_rtc_nb.control_stream import pack\n"
        "from forge_rtc_nb.kernel.discovery import candidates, default_runtime_dir\n"
        "for one in (room, other):\n"
        "    print(one, repr(one), one.me, one.participants, one.camera, one.video('x'), one.widget, vars(one))\n"
        "    print({k: v for k, v in one.widget.get_state().items() if not k.startswith(('_esm', '_css'))})\n"
        "ways, missing = candidates(None, None, os.environ, default_runtime_dir)\n"
        "print(ways, missing, Join(1, 'r', None, ways, 1.0), len(ways))"
    )
    assert shown.rstrip().endswith(" 2")
    for secret in (jupyter.token, ticket, kernel.evaluate("os.environ['FORGE_RTC_SERVER_SECRET']")):
        assert len(secret) > 20
        assert secret not in shown


# Outside a notebook

OUTSIDE = """
import json, sys, traceback
import forge_rtc_nb as rtc
try:
    rtc.join("r")
except rtc.RTCError as error:
    print(json.dumps([type(error).__name__, str(error), traceback.format_exc()]))
from forge_rtc_nb.kernel.joining import joined
import threading, psutil
assert not joined.rooms() and threading.active_count() == 1 and not psutil.Process().children()
"""


def refusal(tmp_path: Path, environ: dict[str, str]) -> tuple[str, str, str]:
    """What `join` raises in a plain Python process: class, text, traceback."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORGE_", "JUPYTER", "JPY_"))}
    environ = {**kept, "JUPYTER_RUNTIME_DIR": str(tmp_path), **environ}
    done = subprocess.run([sys.executable, "-c", OUTSIDE], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind, text, trace = json.loads(done.stdout)
    return kind, text, trace


def test_outside_a_notebook_without_any_way_the_error_says_what_was_looked_for(tmp_path: Path) -> None:
    kind, text, _ = refusal(tmp_path, {})
    assert kind == "SignalingError"
    first, *tried, last = text.splitlines()
    assert first == "no way to a Jupyter server with the forge_rtc_nb extension. Tried:"
    for line, words in zip(tried, ("the extension's environment: ", "JupyterHub: ", "a running server: "), strict=True):
        assert line.startswith(f"  - {words}")
    assert last.startswith("Give it yourself: rtc.join(..., server=")


def test_outside_a_notebook_every_way_that_failed_is_listed_without_its_secret(tmp_path: Path) -> None:
    keys = [secrets.token_hex(16) for _ in range(4)]
    dead = [f"http://127.0.0.1:{free_port()}/" for _ in range(3)]
    (tmp_path / "jpserver-77.json").write_text(json.dumps({"url": dead[2], "token": keys[2]}))
    environ = {
        "FORGE_RTC_SERVER_URL": dead[0],
        "FORGE_RTC_SERVER_SECRET": keys[0],
        "FORGE_RTC_TOKEN": keys[3],
        "JUPYTERHUB_API_TOKEN": keys[1],
        "JUPYTERHUB_SERVICE_URL": dead[1],
        "JPY_PARENT_PID": "77",
    }
    kind, text, trace = refusal(tmp_path, environ)
    assert kind == "SignalingError"
    tried = text.splitlines()[1:-1]
    assert [url in line for url, line in zip(dead, tried, strict=True)] == [True] * 3
    for how, line in zip(("the extension's environment", "JupyterHub", "the running server with pid 77"), tried, strict=True):
        assert line.startswith(f"  - {how} (http://127.0.0.1:")
    assert not [key for key in keys if key in text + trace]
