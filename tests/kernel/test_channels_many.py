"""64 channels of 8 participants at once: every message arrives at everybody once, in order, and whole (test process)."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests.kernel.others import another_kernel
from tests.python_process import PythonProcess
from tests.support import JupyterProcess

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
PARTICIPANTS, CHANNELS = 8, 64
ROUNDS = max(1, int(2 * FUZZ))

SETUP = """
import hashlib
from collections import defaultdict
got = defaultdict(list)
def take(channel):
    @channel.on_message
    def note(value, sender):
        head = bytes(value[:16])
        good = hashlib.blake2b(value[16:], digest_size=16).digest() == head
        got[channel.name, sender.name].append(int(value[16]) if good else -1)
channels = [room.channel(f"c{n}") for n in range(CHANNELS)]
for channel in channels:
    take(channel)
def message(number, size):
    body = bytes([number]) + np.random.default_rng(size).bytes(size)
    return np.frombuffer(hashlib.blake2b(body, digest_size=16).digest() + body, np.uint8)
"""
SEND = """
for number in range(ROUNDS):
    for n, channel in enumerate(channels):
        channel.send(message(number, 20_000 if n == me else 300), timeout=120)
"""
ALL = "wait_for(lambda: sum(map(len, got.values())) >= (PARTICIPANTS - 1) * CHANNELS * ROUNDS, 120, 'all messages')"


@pytest.mark.timeout(400)
def test_every_message_of_every_channel_arrives_once_in_order_and_whole(jupyter: JupyterProcess, room_id: str) -> None:
    counts = {"PARTICIPANTS": PARTICIPANTS, "CHANNELS": CHANNELS, "ROUNDS": ROUNDS}
    with ExitStack() as stack:
        people: list[PythonProcess] = []
        for number in range(PARTICIPANTS):
            people.append(stack.enter_context(another_kernel(jupyter, room_id, f"p{number}")))
            people[-1].run(SETUP, timeout=120, me=number, **counts)
        everybody = f"wait_for(lambda: all(len(c.participants) == {PARTICIPANTS - 1} for c in channels), 60, 'all have all')"
        for code in (everybody, SEND, ALL):
            for running in [one.start(code) for one in people]:
                running.result(300)
        for number, one in enumerate(people):
            got = one.run("[[*key, numbers] for key, numbers in got.items()]")
            assert len(got) == (PARTICIPANTS - 1) * CHANNELS
            assert all(numbers == list(range(ROUNDS)) for _, _, numbers in got)
            assert f"p{number}" not in {sender for _, sender, _ in got}
            assert one.run("[str(error) for error in errors]") == []
