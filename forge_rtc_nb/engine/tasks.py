"""Background tasks whose failures are logged, and that end together (engine process)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Tasks:
    """A set of running tasks; `close` cancels them and waits for their ends."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a background task failed", exc_info=error)

    async def finish(self) -> None:
        """Wait for their ends without cancelling them."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def close(self) -> None:
        me = asyncio.current_task()
        running = [task for task in self._running if task is not me]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
