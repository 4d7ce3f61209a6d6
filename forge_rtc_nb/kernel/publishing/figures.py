"""Matplotlib figures as pictures, rendered again when something in them changed (runs in the kernel)."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .source import NOTHING_NEW

SETTLE = 0.01
"""Seconds for which a figure should not have changed before it is rendered: who clears axes draws anew at once."""
PATIENCE = 3
"""Renderings in a row that may fail, as they do while another thread changes the figure, until it is the figure's fault."""


def is_figure(value: object) -> bool:
    """Without importing matplotlib: who has a figure has imported it."""
    module: Any = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(value, module.Figure)


class Figures:
    """One figure, a `source.Source`.

    Users change it in their thread while it is rendered here. Matplotlib keeps two renderings apart by itself, and tells of
    every change by ``stale_callback``. ``figure.stale`` is not enough: a notebook that shows the figure clears it.
    """

    lasts = True

    def __init__(self, figure: Any) -> None:
        self._figure = figure
        self._changes = 1
        self._rendered = 0
        self._changed_at = 0.0
        self._failures = 0
        self._rendering: int | None = None
        self._put_off = False
        self._before: Any = None
        self._listens = False

    def take(self) -> Any:
        if not self._listens:  # only now, when an earlier publication of the figure listens no more
            self._listens = True
            self._before, self._figure.stale_callback = self._figure.stale_callback, self._on_stale
        changes = self._changes
        if changes == self._rendered or self._figure.canvas.is_saving() or self._should_settle():
            return NOTHING_NEW
        try:
            picture = self._render()
        except Exception:
            self._failures += 1
            if self._failures < PATIENCE or self._changes != changes:
                return NOTHING_NEW
            raise
        if self._figure.canvas.is_saving():  # which gives it another size for a moment
            return NOTHING_NEW
        self._failures, self._rendered = 0, changes
        return picture

    def interrupt(self) -> None:
        """A rendering does not wait."""

    def close(self) -> None:
        if self._figure.stale_callback == self._on_stale:
            self._figure.stale_callback = self._before

    def _on_stale(self, figure: Any, stale: bool) -> None:
        if threading.get_ident() == self._rendering:
            return  # our own rendering changes it: layouts, limits of axes
        self._changes += 1
        self._changed_at = time.monotonic()
        if self._before is not None:
            self._before(figure, stale)

    def _should_settle(self) -> bool:
        """Once for each picture, as some figures change all the time."""
        self._put_off = not self._put_off and time.monotonic() - self._changed_at < SETTLE
        return self._put_off

    def _render(self) -> NDArray[np.uint8]:
        from matplotlib.backends.backend_agg import RendererAgg

        figure = self._figure
        width, height = (int(side) for side in figure.bbox.size)
        # Not a canvas: the figure would be its own from then on, and no longer that of the user's window.
        renderer: Any = RendererAgg(width, height, figure.dpi)  # type: ignore[no-untyped-call]
        self._rendering = threading.get_ident()
        was_stale = figure.stale
        try:
            figure.draw(renderer)
        finally:
            figure.stale = was_stale  # for whoever else draws it
            self._rendering = None
        return np.asarray(renderer.buffer_rgba())
