"""What the bench's file keeps, and when a target is met (test process)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import report
from tests.bench.report import Options, Result, Target
from tests.bench.video.medians import Rows
from tests.bench.video.promises import targets


def test_a_run_of_one_subject_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "OUTPUT", tmp_path / "build" / "bench.json")
    for subject, value in (("data", 1.0), ("webcam", 2.0), ("webcam", 0.5)):
        result = Result([value], [Target(subject, "a ratio", value, 1.0, "lower")])
        report.store(subject, report.machine(), Options(), result)
    content = json.loads(report.OUTPUT.read_text())
    assert (content["data"], content["webcam"]) == ([1.0], [0.5])
    assert [(t["subject"], t["value"], t["ok"]) for t in content["targets"]] == [("data", 1.0, True), ("webcam", 0.5, True)]


@pytest.mark.parametrize(("value", "better", "ok"), [(1.0, "lower", True), (1.1, "lower", False), (1.1, "higher", True)])
def test_target_is_met_on_the_better_side(value: float, better: str, ok: bool) -> None:
    assert Target("webcam", "a ratio", value, 1.0, better).ok is ok  # type: ignore[arg-type]


def test_what_was_not_measured_is_not_met() -> None:
    found = targets({})
    assert len(found) == 13
    assert not any(target.ok for target in found)
    assert all(target.value is None for target in found)


def test_one_start_without_full_size_is_not_hidden_by_the_median() -> None:
    rows = [{"first_array_s": 0.1, "full_size_s": size} for size in (None, None, 0.2)]
    assert [t.value for t in targets({"startup": rows}) if t.name.startswith("full resolution")] == [None]


def test_ratios_are_of_medians_over_rounds_that_did_not_fail() -> None:
    rows: Rows = [
        _peer("ours", 10),
        _peer("ours", 30),
        _peer("ours", 20),
        _peer("stock", 40),
        {"peer": "stock", "error": "gone"},
    ]
    found = {target.name: target.value for target in targets({"peers": rows})}
    assert found["720p30: latency p50, ratio to aiortc in a thread"] == 0.5
    assert found["720p30: latency p50, ratio to JPEG over comm"] is None


def _peer(peer: str, p50: float) -> dict[str, Any]:
    cpu = {"kernel": 10.0, "engine": 10.0, "browser": 50.0, "server": 0.0}
    return {"peer": peer, "camera": "720p30", "latency_ms": {"p50": p50}, "cpu": cpu}
