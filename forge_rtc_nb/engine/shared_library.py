"""Libraries that PyAV is linked to, for calls that it does not offer (engine process)."""

from __future__ import annotations

import ctypes
import glob
import sys
from pathlib import Path
from typing import Any

import av


def loaded_library(name: str) -> Any:
    """The library whose file's name begins with ``name``, which this process has loaded already; None where it has not."""
    path = _path(name)
    try:
        return ctypes.CDLL(path) if path is not None else None
    except OSError:
        return None


def _path(name: str) -> str | None:
    if sys.platform == "linux":
        names = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if f"/{name}" in line}
    else:
        names = set(glob.glob(str(Path(av.__file__).parent / ".dylibs" / f"{name}*")))
    return names.pop() if len(names) == 1 else None
