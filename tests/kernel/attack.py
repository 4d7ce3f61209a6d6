"""A channel that somebody attacks, beside one that nobody does, and what must be true afterwards (test process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import forge_rtc_nb as rtc
from tests.kernel.others import ECHO, channel_name
from tests.kernel.raw import Raw, Wire
from tests.python_process import PythonProcess
from tests.support import wait_for


@dataclass
class Attack:
    room: rtc.Room
    bob: PythonProcess
    eve: Raw
    errors: list[Exception]
    channel: rtc.Channel
    wire: Wire
    """Eve's data channel for that channel."""
    other: Wire
    """The one of another channel, with nothing wrong."""

    def others_go_on(self) -> None:
        """Eve's other data channel, and bob on the very channel that is attacked."""
        assert self.other.is_open
        self.channel.send(np.arange(10_000), to="bob")
        while (message := self.channel.receive()).sender.name != "bob":
            pass
        assert message.value.sum() == 49_995_000

    def is_over(self, words: str) -> None:
        """Eve has lost that data channel, ann was told of it once, and nobody else has noticed."""
        wait_for(lambda: self.wire.is_closed, what="the data channel is closed")
        wait_for(lambda: self.errors, what="an error event")
        self.others_go_on()
        assert len(self.errors) == 1
        text = str(self.errors[0])
        assert text.startswith(f"what 'Eve' sent on channel {self.channel.name!r} cannot be used, and is dropped: ")
        assert words in text
        assert len(text) < 500


@contextmanager
def attack(room: rtc.Room, bob: PythonProcess, eve: Raw, errors: list[Exception], **options: Any) -> Iterator[Attack]:
    names = [channel_name(), channel_name()]
    with ExitStack() as stack:
        channel, other = (stack.enter_context(room.channel(name, **options)) for name in names)
        bob.run("ch = room.channel(name, **options)", name=names[0], options=options)
        bob.run(ECHO)
        eve.update(channels=[{"name": name, **options} for name in names])
        lossy: dict[str, Any] = {} if options.get("reliable", True) else {"maxRetransmits": 0}
        wires = [eve.open("c/" + name, ordered=options.get("ordered", True), **lossy) for name in names]
        wait_for(lambda: len(channel.participants) == 2 and len(other.participants) == 1, what="all have the channels")
        bob.run("wait_for(lambda: len(ch.participants) == 2)")
        errors.clear()
        yield Attack(room, bob, eve, errors, channel, *wires)
        bob.run("ch.close()")
