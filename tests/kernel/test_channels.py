"""Channels between two kernels: what arrives is what was sent, to whom, and what their ends look like (test process)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forge_rtc_nb as rtc
from forge_rtc_nb.arrays import DTYPES
from tests.kernel.others import ECHO, IN_USE, Sending, another_kernel, channel_name, open_everywhere
from tests.kernel.rooms import Join
from tests.kernel.test_fork import in_child
from tests.python_process import PythonProcess, RemoteError
from tests.strategies import LAYOUTS, arrays
from tests.support import JupyterProcess, wait_for

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def echo(room: rtc.Room, bob: PythonProcess) -> rtc.Channel:
    """A channel on which the other kernel sends back what it gets."""
    channel = open_everywhere(room, bob)
    bob.run(ECHO)
    return channel


# ---- values ----


def through(echo: rtc.Channel, value: object) -> Any:
    echo.send(value)
    return echo.recv()


@settings(max_examples=int(150 * FUZZ), deadline=None, suppress_health_check=SLOW)
@given(array=arrays(), layout=st.sampled_from(sorted(LAYOUTS)))
def test_arrays_arrive_equal_in_dtype_shape_and_bytes_and_read_only(
    echo: rtc.Channel, array: np.ndarray[Any, Any], layout: str
) -> None:
    sent = LAYOUTS[layout](array)
    arrived = through(echo, sent)
    assert isinstance(arrived, np.ndarray)
    assert (arrived.dtype.str, arrived.shape) == (sent.dtype.str, sent.shape)
    assert arrived.tobytes() == sent.tobytes()
    with pytest.raises(ValueError, match="WRITEABLE"):
        arrived.setflags(write=True)


@settings(max_examples=int(20 * FUZZ), deadline=None, suppress_health_check=SLOW)
@given(dtype=st.sampled_from(sorted(DTYPES)), rows=st.integers(0, 700), columns=st.integers(1, 300), fortran=st.booleans())
def test_larger_arrays_arrive_equal_too(echo: rtc.Channel, dtype: str, rows: int, columns: int, fortran: bool) -> None:
    values = np.random.default_rng(rows).integers(0, 2, (rows, columns)).astype(dtype)
    arrived = through(echo, np.asfortranarray(values) if fortran else values)
    assert arrived.dtype.str == dtype
    assert arrived.tobytes() == values.tobytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=int(100 * FUZZ), deadline=None, suppress_health_check=SLOW)
@given(st.binary(max_size=40_000) | TEXT | JSON.filter(lambda value: "\\ud" not in ascii(value)))
def test_bytes_text_and_json_arrive_as_they_are(echo: rtc.Channel, value: object) -> None:
    arrived = through(echo, value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize("value", [np.float32(1.5), np.int64(-3), np.bool_(True), np.complex128(2 + 1j)], ids=repr)
def test_scalars_of_numpy_arrive_as_arrays_without_dimensions(echo: rtc.Channel, value: Any) -> None:
    arrived = through(echo, value)
    assert (arrived.dtype, arrived.shape, arrived[()]) == (value.dtype, (), value)


@pytest.mark.parametrize(
    "value",
    [np.zeros(2, np.longdouble), np.array([object()]), np.zeros(2, [("a", "i4")]), np.array(["text"]), {1: 2}, {1, 2}, print],
    ids=["longdouble", "object", "structured", "text", "keys", "set", "function"],
)
def test_what_cannot_be_sent_is_a_type_error_and_the_channel_goes_on(echo: rtc.Channel, value: object) -> None:
    with pytest.raises(TypeError):
        echo.send(value)
    assert through(echo, "after it") == "after it"


def test_a_value_is_what_it_was_when_it_was_sent(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob, maxsize=1)
    bob.run("ch.send(0)")
    assert channel.recv() == 0
    for size in (100, 500_000):
        array = np.ones(size)
        channel.send(array)
        array[:] = 2  # it may still be on its way to the reader
        assert bob.run("float(ch.recv().sum())") == size


def test_views_of_what_arrived_are_read_only_and_outlive_it(echo: rtc.Channel) -> None:
    arrived = through(echo, np.arange(100_000))
    part = arrived[10:20]
    del arrived
    through(echo, np.zeros(100_000, int))  # might use the memory again
    assert part.tolist() == list(range(10, 20))
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1


def test_memory_is_given_back_when_its_last_view_is_gone(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    bob.run(IN_USE)
    bob.run("wait_for(lambda: in_use() == 0, what='earlier messages are gone')")
    for _ in range(3):
        channel.send(np.ones(500_000))
    assert bob.run("keep = [ch.recv()[5:].reshape(5, -1).T for _ in range(3)]; in_use()") >= 3 * 4_000_000
    assert bob.run("del keep[:2]; wait_for(lambda: in_use() < 5_000_000); in_use()") >= 4_000_000
    assert bob.run("keep.pop().sum()") == 499_995
    bob.run("wait_for(lambda: in_use() == 0, what='nothing is left')")
    # What was sent is given back too, once it has left.
    wait_for(lambda: room._data.client.arena.in_use == 0, what="our memory is free again")


# ---- to whom ----


def test_a_message_says_who_sent_it_and_when(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    before = time.time()
    bob.run("ch.send('hello')")
    message = channel.receive()
    assert (message.value, message.sender.name, message.sender.kind) == ("hello", "bob", "kernel")
    assert before - 1 <= message.time <= time.time() + 1


def test_a_message_goes_to_those_who_are_named_and_never_back(
    jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess
) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        channel = open_everywhere(room, bob, carol)
        channel.send("for bob", to="bob")
        channel.send("for carol", to=[p for p in room.participants if p.name == "carol"])
        channel.send("for both", to=["bob", "carol", "bob"])
        channel.send("for all")
        read = "[ch.recv() for _ in range(3)]"
        assert bob.run(read) == ["for bob", "for both", "for all"]
        assert carol.run(read) == ["for carol", "for both", "for all"]
        with pytest.raises(rtc.RTCTimeout):
            channel.recv(timeout=0.1)
        carol.run("ch.close()")
        wait_for(lambda: len(channel.participants) == 1, what="carol's channel is closed")
        with pytest.raises(rtc.PeerNotFound, match="'carol' has not opened channel .* 'bob'"):
            channel.send(1, to="carol")
        with pytest.raises(rtc.PeerNotFound, match="'dora' is not in the room"):
            channel.send(1, to=["bob", "dora"])
        channel.send("the last")
        assert bob.run("ch.recv()") == "the last"


def test_messages_of_a_sender_arrive_in_order(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob, maxsize=8)
    sizes = [(7919 * n) % 100_000 for n in range(300)]
    sending = bob.start("for n, size in enumerate(sizes): ch.send(np.full(size, n % 251, np.uint8))", sizes=sizes)
    for number, size in enumerate(sizes):
        arrived = channel.recv()
        assert arrived.shape == (size,)
        assert (arrived == number % 251).all()
    sending.result(10)


def test_who_opens_a_channel_later_gets_what_is_sent_later(room: rtc.Room, bob: PythonProcess) -> None:
    name = channel_name()
    early = room.channel(name)
    early.send("nobody is there")
    channel = open_everywhere(room, bob, name=name)
    assert channel is early
    channel.send("now")
    assert bob.run("ch.recv()") == "now"


# ---- options and ends ----


def test_all_who_open_a_channel_need_the_same_options(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob, maxsize=3, policy="drop_oldest")
    assert channel.options == {
        "ordered": True, "reliable": True, "maxsize": 3, "maxbytes": 256 << 20, "policy": "drop_oldest",
    }  # fmt: skip
    with pytest.raises(rtc.ChannelOptions, match="close"):
        room.channel(channel.name)
    channel.close()
    bob.run("wait_for(lambda: not ch.participants)")
    with pytest.raises(rtc.ChannelOptions, match="'drop_oldest'"):
        room.channel(channel.name)
    assert channel.name not in [one.name for one in room.channels]
    again = room.channel(channel.name, maxsize=3, policy="drop_oldest")
    assert again in room.channels


@pytest.mark.parametrize(
    "options",
    [{"maxsize": 0}, {"maxsize": 1.5}, {"maxbytes": -1}, {"policy": "newest"}, {"maxsize": 10**9}],
    ids=repr,
)
def test_options_that_cannot_be_are_refused(room: rtc.Room, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        room.channel(channel_name(), **options)


@pytest.mark.parametrize("name", ["", "x" * 65, 5])
def test_names_that_cannot_be_are_refused(room: rtc.Room, name: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        room.channel(name)


def test_a_closed_channel_raises_and_can_be_opened_again(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    bob.run("ch.send('never read')")
    channel.close()
    channel.close()
    for use in (channel.recv, lambda: channel.send(1), lambda: channel.on_message(print)):
        with pytest.raises(rtc.ChannelClosed, match="open it again"):
            use()
    assert list(channel) == []
    bob.run("wait_for(lambda: not ch.participants)")  # or he might send to the one that is closed
    again = open_everywhere(room, bob, name=channel.name)
    bob.run("ch.send('read')")
    assert again.recv() == "read"
    again.send("and back")
    assert bob.run("ch.recv()") == "and back"


def test_closing_ends_those_who_wait_for_messages(room: rtc.Room, bob: PythonProcess) -> None:
    open_everywhere(room, bob)
    bob.run("threading.Timer(0.2, ch.close).start()")
    assert bob.run("list(ch)") == []


def test_sending_to_a_channel_that_is_closed_meanwhile_ends(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob, maxsize=1)
    channel.send(0)
    sending = Sending(channel, 1)  # bob has no room for it, until bob has no channel
    assert sending.is_under_way
    bob.run("ch.close()")
    sending.join()
    assert sending.raised is None
    wait_for(lambda: not channel.participants, what="bob's channel is closed")


def test_joining_again_ends_the_channels_and_others_see_nobody_come_or_go(
    jupyter: JupyterProcess, join: Join, room_id: str
) -> None:
    first = join(room_id, name="ann")
    with another_kernel(jupyter, room_id) as bob:
        bob.run("seen = []\nfor event in ('joined', 'left'): room.on(event, seen.append)")
        channel = open_everywhere(first, bob)
        bob.run("ch.send('before')")
        second = join(room_id)
        for use in (channel.recv, lambda: channel.send(1), lambda: first.channel("x")):
            with pytest.raises(rtc.NotInRoom, match="joined again"):
                use()
        assert list(channel) == []
        bob.run("wait_for(lambda: not ch.participants)")
        again = open_everywhere(second, bob, name=channel.name)
        bob.run("ch.send('after')")
        assert again.recv() == "after"
        assert bob.run("seen") == []
        second.leave()


def test_leaving_the_room_ends_iterations_and_the_others_go_on(
    jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess
) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        channel = open_everywhere(room, bob, carol)
        carol.run("threading.Timer(0.2, room.leave).start()")
        assert carol.run("[value for value in ch]") == []
        wait_for(lambda: len(channel.participants) == 1, what="carol has left")
        channel.send("to who is left")
        assert bob.run("ch.recv()") == "to who is left"


def test_an_engine_that_is_killed_ends_its_channels_and_nobody_elses(
    jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess
) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        channel = open_everywhere(room, bob, carol)
        carol.run("import os, signal; from tests.kernel.rooms import engine_pids")
        carol.run("threading.Timer(0.2, lambda: os.kill(engine_pids()[0], signal.SIGKILL)).start()")
        with pytest.raises(RemoteError, match="EngineDied: the engine process ended: killed by SIGKILL"):
            carol.run("for value in ch: pass")
        with pytest.raises(RemoteError, match="EngineDied"):
            carol.run("ch.send(1)")
        carol.run("room = rtc.join(room_id, server=server, token=token, name='carol again')")
        carol.run(f"ch = room.channel({channel.name!r})")
        wait_for(lambda: "carol again" in [p.name for p in channel.participants], what="carol is back")
        channel.send("hello again", to="carol again")
        assert carol.run("ch.recv()") == "hello again"
        channel.send("and bob", to="bob")
        assert bob.run("ch.recv()") in ("and bob", "hello again")


def test_a_forked_child_cannot_use_its_parents_channels(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    uses: tuple[Callable[[], Any], ...] = (
        lambda: channel.send(1),
        lambda: channel.recv(1),
        lambda: room.channels,
        lambda: room.shared,
    )
    for use in uses:
        assert in_child(lambda: str(use())).startswith("RTCError: a forked child process cannot use")  # noqa: B023 - called here
    in_child(lambda: channel.close() or "")  # type: ignore[func-returns-value]
    bob.run("ch.send('the parent')")
    assert channel.recv() == "the parent"


def test_arrays_outlive_the_room_and_its_engine(jupyter: JupyterProcess, room: rtc.Room) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        channel = open_everywhere(room, carol)
        for number in range(2):
            channel.send(np.full(1_000_000, number, np.uint8))
        carol.run(IN_USE + "first, second = ch.recv(), ch.recv(); fd = os.dup(engines._client.arena._fd)")
        carol.run("room.leave(); from tests.kernel.rooms import engine_pids; wait_for(lambda: not engine_pids())")
        held = "512 * os.fstat(fd).st_blocks"
        assert carol.run(f"set(first.tolist()), set(second.tolist()); {held}") >= 2_000_000
        assert carol.run("[int(first.max()), int(second.min())]") == [0, 1]
        assert carol.run(f"del first; {held}") < 1_100_000
        assert carol.run("int(second.sum())") == 1_000_000
        assert carol.run(f"del second; {held}") < 100_000
