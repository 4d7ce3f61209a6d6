"""A bar for a message that takes long: a widget in a notebook, text elsewhere (runs in the kernel)."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from .notebook import in_notebook

SHOW_AFTER = 2.0
"""Seconds after which a bar shows by itself."""
STEP = 0.1
"""Seconds between two looks at how far it is."""


class _Bar(Protocol):
    def update(self, sent: int, text: str) -> None: ...

    def close(self, text: str | None) -> None:
        """It is over; ``text`` stays to be read, None leaves nothing."""


class Progress:
    """``wanted`` is True for a bar from the beginning, None for one after `SHOW_AFTER`, False for none."""

    def __init__(self, size: int, what: str, wanted: bool | None) -> None:
        self._size = size
        self._what = what
        self._wanted = wanted
        self._began = time.monotonic()
        self._bar: _Bar | None = None
        if wanted:
            self._show()

    @property
    def step(self) -> float | None:
        """How often to call `update`, in seconds; None where there is no need to."""
        return None if self._wanted is False else STEP

    def update(self, sent: int) -> None:
        """So many bytes have left."""
        if self._bar is None and time.monotonic() - self._began >= SHOW_AFTER:
            self._show()
        if self._bar is not None:
            self._bar.update(sent, f"{self._what}: {_bytes(sent)} of {_bytes(self._size)}")

    def close(self, arrived: bool) -> None:
        """It is over; a bar that was asked for stays, with what came of it."""
        if self._bar is None:
            return
        seconds = time.monotonic() - self._began
        if arrived:
            text = f"{self._what}: {_bytes(self._size)} in {seconds:.1f} s"
            self._bar.update(self._size, text)
        else:
            text = f"{self._what}: not all of {_bytes(self._size)} has arrived, after {seconds:.1f} s"
        self._bar.close(text if self._wanted else None)
        self._bar = None

    def _show(self) -> None:
        self._bar = _WidgetBar(self._size) if in_notebook() else _TextBar(self._size)


class _WidgetBar:
    def __init__(self, size: int) -> None:
        import ipywidgets
        from IPython.display import display

        self._bar = ipywidgets.FloatProgress(max=max(size, 1), layout={"width": "40%"})
        self._label = ipywidgets.Label()
        self._box = ipywidgets.HBox([self._bar, self._label])
        display(self._box)

    def update(self, sent: int, text: str) -> None:
        self._bar.value, self._label.value = sent, text

    def close(self, text: str | None) -> None:
        if text is None:
            for widget in (self._box, self._bar, self._label):
                widget.close()
        else:
            self._label.value = text


class _TextBar:
    """Writes over itself in a terminal; a file gets the last line only."""

    WIDTH = 30

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._shown = ""
        self._over_itself = sys.stderr.isatty()

    def update(self, sent: int, text: str) -> None:
        if self._over_itself:
            done = self.WIDTH * sent // self._size
            self._write(f"[{'#' * done}{'.' * (self.WIDTH - done)}] {text}")

    def close(self, text: str | None) -> None:
        if self._over_itself:
            self._write(text or "")
            sys.stderr.write("\n" if text else "\r")
        elif text:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def _write(self, line: str) -> None:
        if line != self._shown:
            sys.stderr.write("\r" + line.ljust(len(self._shown)))
            sys.stderr.flush()
            self._shown = line


def _bytes(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
