"""The first journey again, on a machine that has no network but loopback (test process)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SANDBOX = ["unshare", "--net", "--map-root-user"]
JOURNEY = "tests/browser/test_webcam.py::test_frames_in_numpy_are_what_the_camera_shows[VP8]"


def _can_unshare() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*SANDBOX, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="needs unshare and ip, and the right to make a network namespace")
def test_frames_without_a_network() -> None:
    script = f"ip link set lo up && exec {sys.executable} -m pytest -q -p no:cacheprovider '{JOURNEY}'"
    # Chromium leaves 127.0.0.1 out of its candidates unless it is told otherwise.
    environment = os.environ | {"FORGE_RTC_TEST_CHROMIUM": "--allow-loopback-in-peer-connection"}
    run = subprocess.run(
        [*SANDBOX, "sh", "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "1 passed" in run.stdout, run.stdout[-4000:] + run.stderr[-2000:]
