"""What needs no WebRTC: arrays as binary buffers of a widget's own messages, through the Jupyter server (kernel)."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import numpy as np

from tests.bench.data_worker import ARRAY_SHAPE, milliseconds

UNDER_WAY = 2
"""Arrays that were sent and not acknowledged: without a limit they pile up in every process on the way."""


class CommWidget(anywidget.AnyWidget):
    """Shown in a cell, it is one end, and its front end the other; the ``do_`` functions are called by the bench."""

    _esm = Path(__file__).with_suffix(".js")

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="bench-comm", daemon=True).start()
        self._arrived: asyncio.Queue[tuple[str, Any, float]] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._under_way = 0
        super().__init__()
        self.on_msg(self._received)

    def _received(self, _widget: Any, content: Any, buffers: list[memoryview]) -> None:
        """In the main thread or in one of ipykernel's subshells."""
        match content["kind"]:
            case "begin":
                asyncio.run_coroutine_threadsafe(self._answer(content["name"], content["args"]), self._loop)
            case "taken":
                self._loop.call_soon_threadsafe(self._take_back)
            case "array":
                self._arrive("array", np.frombuffer(buffers[0]).reshape(ARRAY_SHAPE))
                self.send({"kind": "taken"})
            case kind:
                self._arrive(kind, bytes(buffers[0]) if buffers else b"")

    def _arrive(self, kind: str, value: Any) -> None:
        self._loop.call_soon_threadsafe(self._arrived.put_nowait, (kind, value, time.time()))

    def _take_back(self) -> None:
        self._under_way -= 1
        self._taken.set()

    async def _answer(self, name: str, arguments: dict[str, Any]) -> None:
        try:
            answer = {"result": await getattr(self, f"do_{name}")(**arguments)}
        except Exception as error:  # the bench is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.send({"kind": "answer", **answer})

    async def _put(self, kind: str, *buffers: Any) -> None:
        while kind == "array" and self._under_way >= UNDER_WAY:
            self._taken.clear()
            await self._taken.wait()
        self._under_way += kind == "array"
        self.send({"kind": kind}, buffers=list(buffers))

    async def do_stream(self, seconds: float) -> None:
        array = np.random.default_rng(1).random(ARRAY_SHAPE)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._put("array", array)
        await self._put("end")

    async def do_send_array(self) -> float:
        array = np.random.default_rng(1).random(ARRAY_SHAPE)
        begun = time.time()
        await self._put("array", array)
        await self._put("end")
        return begun

    async def do_receive(self) -> dict[str, float]:
        _, value, begun = await self._arrived.get()
        first, last, size = value.nbytes, begun, 0
        while (message := await self._arrived.get())[0] != "end":
            last = message[2]
            size += message[1].nbytes
        return {"first": first, "bytes": size, "seconds": last - begun, "last": last}

    async def do_echo(self) -> None:
        while (message := await self._arrived.get())[0] != "end":
            await self._put(message[0], message[1])

    async def do_round_trips(self, size: int, count: int) -> float:
        message, times = os.urandom(size), []
        for _ in range(count):
            begun = time.perf_counter()
            await self._put("ping", message)
            await self._arrived.get()
            times.append(time.perf_counter() - begun)
        await self._put("end")
        return milliseconds(times)
