"""Fixtures that tests of several folders share (test process)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import JupyterProcess


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """The one JupyterLab of the session; its folder is empty at first."""
    root: Path = tmp_path_factory.mktemp("notebooks")
    with JupyterProcess(root) as process:
        yield process
