"""Tells the Jupyter server that this kernel works while it takes frames, so that it is not culled (runs in the kernel).

Servers that are set to end idle kernels (`MappingKernelManager.cull_idle_timeout`) look at nothing but iopub messages. A
thread that reads a camera sends none.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

INTERVAL = 10.0
"""Seconds between two messages; servers cull after minutes."""


class Activity:
    """Sends a message that nobody shows, at most one in `INTERVAL` seconds; outside a Jupyter kernel nothing at all."""

    def __init__(self) -> None:
        self._due = 0.0

    def note(self) -> None:
        """Somebody took a frame. Costs a look at the clock; in any thread."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + INTERVAL
        with contextlib.suppress(Exception):  # a kernel that is about to end: no reason to keep a frame back
            _send()


def _send() -> None:
    kernel: Any = _ipykernel()
    if kernel is None:
        return
    # Any change of an output that is not there would do, but the server counts only what an execution brought about.
    kernel.session.send(
        kernel.iopub_socket,  # of ipykernel's IOPubThread, which takes messages in any thread
        "update_display_data",
        content={"data": {}, "metadata": {}, "transient": {"display_id": "forge_rtc_nb-reading"}},
        parent=kernel.session.msg("execute_request"),
        ident=b"update_display_data",
    )


def _ipykernel() -> Any:
    """The kernel that this process is, where it is one; without importing what is not there."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


activity = Activity()
"""This kernel's. Module state, because a process is one kernel."""
