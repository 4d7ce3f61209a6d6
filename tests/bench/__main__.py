"""`python -m tests.bench [subject ...]`: measures, prints, and writes build/bench.json (bench process)."""

from __future__ import annotations

import argparse
from importlib import import_module

from tests.bench.report import OUTPUT, machine, options, print_targets, store

SUBJECTS = ("imports", "data", "channels", "media_encode", "media_live", "webcam")
"""Modules beside this one, each with a function ``run(options)`` that prints its figures and returns a `Result`."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measures; performance is reported, never asserted."
    )
    parser.add_argument("subject", nargs="*", help=f"any of {', '.join(SUBJECTS)}; without one, all")
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast it is")
    parser.add_argument("--part", action="append", default=[], help="only this part of a subject; may be given again")
    arguments = parser.parse_args()
    if unknown := set(arguments.subject) - set(SUBJECTS):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    run = options(arguments.quick, tuple(arguments.part))
    for subject in arguments.subject or SUBJECTS:
        before = machine()
        result = import_module(f"tests.bench.{subject}").run(run)
        print_targets(result.targets)
        for part, error in result.failures.items():
            print(f"FAILED {subject}, {part}: {error}")
        store(subject, before, run, result)
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
