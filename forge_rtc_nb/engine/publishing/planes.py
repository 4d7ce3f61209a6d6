"""Memory for one 4:2:0 picture: planes Y, U, V, whose rows have room behind them (engine process)."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.uint8]]


class Planes:
    """A picture of ``height`` x ``width`` (odd ones too) in memory of its own, of an even size.

    Rows begin at multiples of `alignment`: libswscale writes 16 pixels at once, and more than the row where it ends sooner.
    """

    alignment = 64

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        rows, columns = height + 1 & ~1, width + 1 & ~1
        stride = -(-columns // self.alignment) * self.alignment
        memory = np.zeros(stride * rows * 3 // 2 + 2 * self.alignment, np.uint8)
        start = -memory.ctypes.data % self.alignment
        self._memory = memory[start:]
        luma, chroma = stride * rows, stride // 2 * (rows // 2)
        self.y = self._memory[:luma].reshape(rows, stride)[:, :columns]
        self.u = self._memory[luma : luma + chroma].reshape(rows // 2, stride // 2)[:, : columns // 2]
        self.v = self._memory[luma + chroma : luma + 2 * chroma].reshape(rows // 2, stride // 2)[:, : columns // 2]

    @property
    def all(self) -> tuple[Array, Array, Array]:
        return self.y, self.u, self.v

    @property
    def address(self) -> int:
        """Of the first pixel; U follows Y and V follows U, each row of them half as long as one of Y."""
        return int(self._memory.ctypes.data)

    def pad(self) -> None:
        """Repeat the last row and column of an odd size, for codecs that have even ones only."""
        if self.width % 2:
            self.y[:, self.width] = self.y[:, self.width - 1]
        if self.height % 2:
            self.y[self.height] = self.y[self.height - 1]
