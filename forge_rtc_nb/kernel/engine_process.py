"""Starts, watches and ends the engine process (runs in the kernel)."""

from __future__ import annotations

import os
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from ..arena import Arena, create_arena
from ..errors import RTCError
from ..ring import create_memory

STOP_TIMEOUT = 5.0
ALLOCATION = {"MALLOC_TRIM_THRESHOLD_": str(16 << 20), "MALLOC_MMAP_THRESHOLD_": str(4 << 20)}
"""glibc keeps what packets and messages take (mallopt(3)) instead of giving it to the system and asking for it again, a fifth
of the time of a data channel at full rate. Other allocators read none of it."""
TAIL = 2000
"""Characters of the engine's log that an `EngineDied` shows."""


class EngineProcess:
    """A running engine: its control socket, its shared memory, and its end."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise RTCError("joining a room from a kernel on Windows is not supported yet; the server and the widget work there")
        self._closing = threading.Lock()
        # Not a pipe: nobody would read it while the kernel is busy, and the engine would stand still.
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="forge_rtc_nb-")  # noqa: SIM115
        self.memory = create_memory()
        self._arena_file = create_arena()
        self.arena = Arena(self._arena_file, "kernel")
        """Memory that messages cross in."""
        self.socket, theirs = socket.socketpair()
        try:
            self._process = self._start(theirs.fileno())
        except BaseException:
            self._close_descriptors()
            raise
        finally:
            theirs.close()

    def _start(self, control: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -P: a file of the user's named av.py must not become the engine's av.
            [
                *(sys.executable, "-P", "-m", "forge_rtc_nb.engine"),
                *("--control", str(control), "--memory", str(self.memory), "--arena", str(self._arena_file)),
                *("--parent", str(os.getpid())),
            ],
            pass_fds=(control, self.memory, self._arena_file),
            # A session of its own keeps Ctrl-C, which the terminal or Jupyter sends to the kernel's group, away from it.
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=None if os.environ.get("FORGE_RTC_LOG") else self._log,
            stderr=None if os.environ.get("FORGE_RTC_LOG") else self._log,
            env=_environment(),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def cause_of_death(self) -> str:
        """Why the engine ended, in words, with the end of its log. Waits for the end."""
        try:
            code = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return "its control connection broke"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        with self._closing:
            if self._log.closed:
                return how
            self._log.seek(0, os.SEEK_END)
            self._log.seek(max(0, self._log.tell() - TAIL))
            tail = self._log.read().decode(errors="replace").strip()
        return f"{how}\n{tail}" if tail else how

    def close(self) -> None:
        """End the engine: it leaves its rooms politely, and is killed where that takes too long. Idempotent."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_descriptors()

    def abandon(self) -> None:
        """In a forked child: close our copies of what belongs to the parent, and touch nothing else."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.returncode = 0  # not our child: never waited for here
        self._closing = threading.Lock()  # a lost thread may hold the parent's
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        with self._closing:  # the reader thread may find the engine dead while somebody closes it
            self.socket.close()
            self._log.close()
            self.arena.close()
            if self.memory >= 0:
                os.close(self.memory)
                self.memory = -1


def _environment() -> dict[str, str]:
    """The kernel's environment; a package that was found through a changed ``sys.path`` is found by the engine too."""
    environment = {**ALLOCATION, **os.environ}
    home = str(Path(__file__).resolve().parents[2])
    if home not in (*site.getsitepackages(), site.getusersitepackages()):
        paths = [home, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
