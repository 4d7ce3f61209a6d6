"""Fixtures that tests of several folders share (test process)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import JupyterProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser journeys last: Playwright's event loop runs from then on, and leaves none for tests that are coroutines."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """The one JupyterLab of the session; its folder is empty at first."""
    root: Path = tmp_path_factory.mktemp("notebooks")
    with JupyterProcess(root) as process:
        yield process
