"""A kernel of a real Jupyter server, driven through the server's own interface as a page would (test process)."""

from __future__ import annotations

import json
import urllib.request
import uuid
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from tests.support import deleted, wait_for


class RemoteKernel:
    """Starts a kernel below ``url`` and runs code in it; a context manager, at whose end the kernel is shut down."""

    def __init__(self, url: str, token: str, attach_to: str | None = None) -> None:
        self._url = url
        self._headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        self._socket: ClientConnection | None = None
        self._stack = ExitStack()
        self._attached = attach_to is not None
        self.id = attach_to or ""

    @classmethod
    def attach(cls, url: str, token: str, kernel_id: str) -> Self:
        """A kernel that runs already; it goes on after the context."""
        return cls(url, token, kernel_id)

    def __enter__(self) -> Self:
        if not self._attached:
            self.id = self._request("POST", "api/kernels", {"name": "python3"})["id"]
        # The server lists a kernel before it is ready; the socket holds the first messages back until it is.
        self._socket = self._stack.enter_context(
            connect(
                "ws" + self._url.removeprefix("http") + f"api/kernels/{self.id}/channels",
                additional_headers={"Authorization": self._headers["Authorization"]},
                open_timeout=30,
                max_size=None,
            )
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        if not self._attached:
            wait_for(lambda: deleted(lambda: self._request("DELETE", f"api/kernels/{self.id}")), 30, "the kernel's end")

    def evaluate(self, expression: str, timeout: float = 60) -> Any:
        """Value of an expression, through JSON."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))", timeout))

    def run(self, code: str, timeout: float = 60) -> str:
        """What the code printed; `AssertionError` with the kernel's traceback where it raised."""
        assert self._socket is not None
        message_id = uuid.uuid4().hex
        self._socket.send(json.dumps(_execute_request(message_id, code)))
        printed: list[str] = []
        while True:
            frame = self._socket.recv(timeout)
            if isinstance(frame, bytes):
                continue  # a widget's, with buffers
            message = json.loads(frame)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream" if content["name"] == "stdout":
                    printed.append(content["text"])
                case "error":
                    raise AssertionError("\n".join(content["traceback"]))
                case "status" if content["execution_state"] == "idle":
                    return "".join(printed)

    def _request(self, method: str, path: str, body: object | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=self._headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None


def _execute_request(message_id: str, code: str) -> dict[str, Any]:
    header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": "test", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
