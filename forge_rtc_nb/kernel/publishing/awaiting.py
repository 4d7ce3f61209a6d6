"""Pictures from async generators, each in an event loop of its own (runs in the kernel)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from .source import Ended


class Awaiting:
    """An async iterator, a `source.Source`. Its loop runs while a picture is awaited, and stands still in between."""

    lasts = False

    def __init__(self, pictures: AsyncIterator[Any]) -> None:
        self._pictures = pictures
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False

    def take(self) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(self._next())
        except StopAsyncIteration:
            raise Ended from None
        finally:
            self._task = None

    async def _next(self) -> Any:
        self._task = asyncio.current_task()
        if self._interrupted:
            raise Ended
        return await anext(self._pictures)

    def interrupt(self) -> None:
        self._interrupted = True
        if (task := self._task) is not None:
            try:
                task.get_loop().call_soon_threadsafe(task.cancel)
            except RuntimeError:
                return  # its loop was closed this moment

    def close(self) -> None:
        if self._runner is None:
            return
        with self._runner as runner:
            if isinstance(self._pictures, AsyncGenerator):
                runner.run(_close(self._pictures))


async def _close(pictures: AsyncGenerator[Any, Any]) -> None:
    await pictures.aclose()
