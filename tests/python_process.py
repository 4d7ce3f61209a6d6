"""Another Python interpreter that runs what a test tells it: a second kernel without a notebook (test process, and child)."""

from __future__ import annotations

import ast
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
STOP_LIMIT = 15.0


class RemoteError(AssertionError):
    """Code raised in the process; the text is its traceback."""

    def __init__(self, kind: str, text: str, trace: str) -> None:
        super().__init__(trace)
        self.kind = kind
        """Name of the exception's class."""
        self.text = text


class PythonProcess:
    """Runs pieces of code one after the other in one namespace; a context manager, at whose end the process is over."""

    def __init__(self, **environ: str) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, **environ},
            text=True,
            start_new_session=True,
        )
        self._waiting: deque[Future[Any]] = deque()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="python-process")
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, code: str, timeout: float = 60, **names: Any) -> Any:
        """Run statements; the value of the last one where that is an expression. ``names`` are set before.

        Values are JSON, bytes, and numpy arrays; of anything else it is the `repr`. `RemoteError` where the code raised.
        """
        return self.start(code, **names).result(timeout)

    def start(self, code: str, **names: Any) -> Future[Any]:
        """`run` that does not wait; what is started meanwhile runs after it."""
        answer: Future[Any] = Future()
        with self._lock:
            self._waiting.append(answer)
            assert self._process.stdin is not None
            self._process.stdin.write(_encode({"code": code, "names": names}) + "\n")
            self._process.stdin.flush()
        return answer

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it politely: it leaves its rooms."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(STOP_LIMIT)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.kill()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = _decode(line)
            future = self._waiting.popleft()
            if "error" in answer:
                future.set_exception(RemoteError(*answer["error"]))
            else:
                future.set_result(answer["value"])
        status = self._process.wait()
        while self._waiting:
            self._waiting.popleft().set_exception(AssertionError(f"the process ended with status {status}"))


def _encode(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _decode(line: str) -> Any:
    return json.loads(line, object_hook=_rich)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    import numpy as np

    if not isinstance(value, np.ndarray | np.generic):
        return repr(value)
    array = np.asarray(value)
    return {"__array__": [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]}


def _rich(value: dict[str, Any]) -> Any:
    if "__bytes__" in value:
        return base64.b64decode(value["__bytes__"])
    if "__array__" not in value:
        return value
    import numpy as np

    dtype, shape, data = value["__array__"]
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape)


def _serve() -> None:
    """In the child: what it prints goes to stderr, its stdout is for the answers."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    while True:
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:  # it came when the code had ended already
            continue
        if not line:
            break
        try:
            answer = _encode({"value": _execute(line, namespace)})
        except BaseException as error:
            answer = _encode({"error": [type(error).__name__, str(error), traceback.format_exc()]})
        out.write(answer + "\n")
    if "forge_rtc_nb.kernel.joining" in sys.modules:
        for room in sys.modules["forge_rtc_nb.kernel.joining"].joined.rooms():
            room.leave()


def _execute(line: str, namespace: dict[str, Any]) -> Any:
    request = _decode(line)
    namespace.update(request["names"])
    tree = ast.parse(request["code"], "<test>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<test>", "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<test>", "eval"), namespace)


if __name__ == "__main__":
    _serve()
