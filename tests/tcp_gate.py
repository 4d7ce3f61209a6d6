"""A TCP proxy that can fall silent, as a network does that is gone: nothing passes, nothing is closed (test process)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self


class TcpGate:
    """Forwards connections to a port of 127.0.0.1; a context manager.

    What is sent while it is `close`\\ d waits, as TCP would send it again, and arrives after `open`.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-gate", daemon=True)
        self.port = 0

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.set)

    def close(self) -> None:
        """Nothing passes from now on; in any thread, as `open`."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    async def _accept(self, near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        await self._passes.wait()
        far, onward = await asyncio.open_connection("127.0.0.1", self._target)
        for source, target in ((near, onward), (far, answer)):
            task = self._loop.create_task(self._copy(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._passes.wait()
                target.write(data)
                await target.drain()
        await self._passes.wait()
        target.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._passes.set()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
