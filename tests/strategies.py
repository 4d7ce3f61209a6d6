"""Arrays of every kind that can be sent, for property tests (test process)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forge_rtc_nb.arrays import DTYPES

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "as made": lambda array: array,
    "Fortran": np.asfortranarray,
    "transposed": np.transpose,
    "backwards": lambda array: array[::-1] if array.ndim else array,
    "every second": lambda array: array[..., ::2] if array.ndim else array,
    "broadcast": lambda array: np.broadcast_to(array, (2, *array.shape)),
    "of another": lambda array: np.concatenate([array.ravel()] * 2)[: array.size].reshape(array.shape),
}


def arrays() -> st.SearchStrategy[np.ndarray[Any, Any]]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
    return st.sampled_from(sorted(DTYPES)).flatmap(lambda name: hnp.arrays(name, shapes))
