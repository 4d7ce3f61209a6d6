"""Other kernels of a room, each a Python process of its own, and channels that both ends have (test process)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import forge_rtc_nb as rtc
from tests.python_process import PythonProcess
from tests.support import JupyterProcess, wait_for

JOIN = """
import asyncio, threading, time
import numpy as np
import forge_rtc_nb as rtc
from tests.support import wait_for
room = rtc.join(room_id, server=server, token=token, name=name)
errors = []
room.on("error", errors.append)
"""
OPEN = "ch = room.channel(channel, **options)"
ECHO = """
@ch.on_message
def back(value, sender, ch=ch):
    ch.send(value, to=sender)
"""

IN_USE = """
import os
from forge_rtc_nb.kernel.engine_client import engines
def in_use():
    return 512 * os.fstat(engines._client.arena._fd).st_blocks
"""
"""Bytes of memory that the kernel and its engine share, and that have pages."""


@contextmanager
def another_kernel(server: JupyterProcess, room_id: str, name: str = "bob", **environ: str) -> Iterator[PythonProcess]:
    """A kernel that has joined; ``room`` is its room, ``errors`` the ``error`` events there."""
    with PythonProcess(**environ) as process:
        process.run(JOIN, room_id=room_id, server=server.url, token=server.token, name=name)
        yield process


def channel_name() -> str:
    return f"channel-{secrets.token_hex(4)}"


def open_everywhere(room: rtc.Room, *others: PythonProcess, name: str | None = None, **options: Any) -> rtc.Channel:
    """A channel that this kernel and others have open and know of each other; theirs is ``ch``."""
    name = name or channel_name()
    ours = room.channel(name, **options)
    for other in others:
        other.run(OPEN, channel=name, options=options)
    wait_for(lambda: len(ours.participants) == len(others), what="we know that the others have the channel")
    for other in others:
        other.run(f"wait_for(lambda: len(ch.participants) == {len(others)}, what='they know who has the channel')")
    return ours


def settle(mark: rtc.Channel) -> None:
    """What was sent to the others before this has arrived there, that a message is not to be expected any more too.

    ``mark`` is a channel that others have open and nobody reads much.
    """
    mark.send(None)


class Sending:
    """A send in a thread of its own, that is under way, and what it raised in the end."""

    def __init__(self, channel: rtc.Channel, value: Any, **options: Any) -> None:
        self.raised: BaseException | None = None
        self._send = partial(channel.send, value, timeout=60, **{"progress": False, **options})
        replies = channel._host.client._replies
        before = set(replies)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_for(lambda: replies.keys() - before or not self.is_under_way, what="the send is under way")

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:
            self.raised = error

    @property
    def is_under_way(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(20)
        assert not self.is_under_way
