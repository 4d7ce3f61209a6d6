"""What a kernel that takes frames tells its server, and when it does not (test process)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from forge_rtc_nb.kernel import activity as module
from forge_rtc_nb.kernel.activity import Activity, activity
from tests.kernel.conftest import Make


class FakeKernel:
    """Has what an ipykernel has, and keeps what it is to send."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.iopub_socket = object()
        self.session = SimpleNamespace(send=self._send, msg=lambda kind: {"header": {"msg_type": kind}})

    def _send(self, socket: object, kind: str, **rest: Any) -> None:
        assert socket is self.iopub_socket
        self.sent.append({"kind": kind, **rest})


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """This process as a Jupyter kernel that has said nothing lately."""
    kernel = FakeKernel()
    monkeypatch.setattr(module, "_ipykernel", lambda: kernel)
    monkeypatch.setattr(activity, "_due", 0.0)
    return kernel


def test_frames_of_one_interval_are_one_message(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        activity.note()
    assert len(kernel.sent) == 1
    monkeypatch.setattr(activity, "_due", 0.0)
    activity.note()
    assert len(kernel.sent) == 2


def test_the_message_changes_no_output_and_counts_as_an_executions(kernel: FakeKernel) -> None:
    activity.note()
    (message,) = kernel.sent
    assert message["kind"] == "update_display_data"
    assert message["content"]["data"] == {}
    assert message["parent"]["header"]["msg_type"] == "execute_request"


@pytest.mark.parametrize("way", ["latest", "read", "take", "for"])
def test_every_way_to_take_frames_counts(kernel: FakeKernel, make: Make, way: str) -> None:
    cam = make()
    ways: dict[str, Callable[[], Any]] = {
        "latest": cam.latest,
        "read": cam.read,
        "take": lambda: cam.take(2),
        "for": lambda: next(iter(cam)),
    }
    ways[way]()
    assert len(kernel.sent) == 1


def test_a_stream_that_nobody_takes_frames_of_is_no_activity(kernel: FakeKernel, make: Make) -> None:
    cam = make()
    frames = cam.frames()
    first = next(frames)
    kernel.sent.clear()
    activity._due = 0.0
    while cam.fps == 0.0:  # frames come
        pass
    assert kernel.sent == []
    assert next(frames).index > first.index
    assert len(kernel.sent) == 1


def test_a_kernel_that_cannot_send_keeps_no_frame_back(kernel: FakeKernel, make: Make) -> None:
    kernel.iopub_socket = None
    kernel.session = SimpleNamespace()
    assert make().latest().array.shape == (96, 128, 3)


def test_outside_a_kernel_nothing_happens() -> None:
    Activity().note()
    assert module._ipykernel() is None
