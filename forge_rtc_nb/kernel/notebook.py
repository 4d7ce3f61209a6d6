"""Where this process runs: in a notebook's kernel or elsewhere (runs in the kernel)."""

from __future__ import annotations

import sys


def in_notebook() -> bool:
    """True where a widget can be shown."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None
