"""What a run of the bench leaves: build/bench.json with machine, versions, raw rows and targets (bench process)."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

OUTPUT = Path("build/bench.json")
PACKAGES = (
    *("forge_rtc_nb", "aiortc", "aioice", "av", "anywidget", "ipykernel", "ipython", "jupyterlab"),
    *("jupyter_server", "msgspec", "numpy", "pillow", "playwright"),
)


@dataclass(frozen=True)
class Options:
    """How much is to be measured."""

    quick: bool = False
    """One short round and fewer sizes: whether it works, not how fast it is."""
    rounds: int = 3
    seconds: float = 8.0
    """Of each window in which pictures are counted."""
    parts: tuple[str, ...] = ()
    """Only these parts of a subject; the others' rows stay as they are in the file. None: all."""


@dataclass(frozen=True)
class Target:
    """A figure that an issue promises. ``value`` is None where it could not be measured."""

    subject: str
    name: str
    value: float | None
    target: float
    better: Literal["lower", "higher"]

    @property
    def ok(self) -> bool:
        if self.value is None:
            return False
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "ok": self.ok}


@dataclass
class Result:
    """Of one subject."""

    data: Any
    """Raw rows, ready for JSON."""
    targets: list[Target] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Parts that could not be measured, and why."""


def options(quick: bool, parts: tuple[str, ...] = ()) -> Options:
    """The defaults, or what FORGE_RTC_BENCH_ROUNDS and FORGE_RTC_BENCH_SECONDS say."""
    standard = Options(quick, rounds=1, seconds=4.0) if quick else Options()
    rounds = int(os.environ.get("FORGE_RTC_BENCH_ROUNDS", standard.rounds))
    return Options(quick, rounds, float(os.environ.get("FORGE_RTC_BENCH_SECONDS", standard.seconds)), parts)


def machine() -> dict[str, object]:
    """What a figure depends on besides our code."""
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def store(subject: str, begun: dict[str, object], run: Options, result: Result) -> None:
    """Put one subject's result into the file; what the file has of other subjects stays."""
    content = stored()
    content["time"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    content["machine"] = begun
    content[subject] = result.data
    about = {"time": content["time"], "machine": begun, "load_after": list(os.getloadavg())}
    about |= {"options": vars(run), "failures": result.failures}
    content.setdefault("runs", {})[subject] = about
    others = [target for target in content.get("targets", []) if target["subject"] != subject]
    content["targets"] = [*others, *(target.as_json() for target in result.targets)]
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(content, indent=2) + "\n")


def stored() -> dict[str, Any]:
    """What earlier runs left."""
    try:
        content = json.loads(OUTPUT.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def print_targets(targets: list[Target]) -> None:
    """One line for each."""
    if not targets:
        return
    print(f"{'target':<72}{'value':>10}{'target':>10}")
    for target in targets:
        value = "-" if target.value is None else f"{target.value:.3g}"
        sign = "<=" if target.better == "lower" else ">="
        print(f"  {target.name:<70}{value:>10}{sign:>5}{target.target:>5.3g}  {'ok' if target.ok else 'MISSED'}")
