"""Ends of a measured path in processes of their own: they offer functions by name, which the bench calls (bench process; ends).

Calls are JSON lines on stdin, their results JSON lines on stdout.
"""

from __future__ import annotations

import json
import os
import queue
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from tests.support import stop_process

LIMIT = 60.0
"""Seconds for one answer, beyond what was asked to last longer."""

ARRAY_SHAPE = (1024, 1024)
ARRAY_BYTES = 8 * 1024 * 1024
"""Of one array of float64: what every path carries."""
END = b"end"
"""The message after the last one of a stream."""
PING_SIZES = {"1k": 1024, "100k": 100 * 1024}


class Worker:
    """One end; a context manager. A call that fails there is a `RuntimeError` here, with its text."""

    def __init__(self, *command: str, environ: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        """At most the one answer that is waited for, and the end."""
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, name: str, **arguments: Any) -> None:
        """Have it call a function; `result` waits for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")

    def result(self, limit: float = LIMIT) -> Any:
        """What the function that was begun returned."""
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise RuntimeError(f"no answer within {limit:g} s") from None
        if not line:
            raise RuntimeError("the process has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def call(self, name: str, limit: float = LIMIT, **arguments: Any) -> Any:
        self.begin(name, **arguments)
        return self.result(limit)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # whoever reads its end leaves
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            stop_process(self._process)


def parse(line: bytes | str) -> tuple[str, dict[str, Any]]:
    """What `Worker.begin` wrote."""
    name, arguments = json.loads(line)
    return name, arguments


def answer(result: Any = None, error: Exception | None = None) -> None:
    """Of the end to the bench."""
    content = {"result": result} if error is None else {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def serve(functions: Mapping[str, Callable[..., Any]]) -> None:
    """An end without an event loop: answer until stdin ends."""
    for line in sys.stdin:
        name, arguments = parse(line)
        try:
            answer(functions[name](**arguments))
        except Exception as error:  # whatever a connection may do wrong is the bench's to report
            answer(error=error)


def milliseconds(seconds: list[float]) -> float:
    """The median of durations."""
    return round(1000 * statistics.median(seconds), 3)
