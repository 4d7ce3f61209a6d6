"""The bar of a message that takes long, as text: it writes over itself in a terminal, and is one line elsewhere (tests)."""

from __future__ import annotations

import io
import sys

import pytest

from forge_rtc_nb.kernel import progress
from forge_rtc_nb.kernel.progress import Progress


class Terminal(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal
        self.writes = 0

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def shown(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> Terminal:
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def seen(terminal: Terminal) -> str:
    """What is left on the screen: each part is written over the one before it."""
    line = ""
    for part in terminal.getvalue().removesuffix("\n").split("\r"):
        line = part + line[len(part) :]
    return line.rstrip() + "\n" * terminal.getvalue().endswith("\n")


def test_a_bar_in_a_terminal_writes_over_itself_and_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = shown(monkeypatch, True)
    bar = Progress(3 << 20, "channel 'a'", True)
    for sent in (0, 0, 1 << 20, 1 << 20, 1 << 20, (1 << 20) + 1):
        bar.update(sent)
    lines = terminal.getvalue().split("\r")[1:]
    assert [line.strip() for line in lines] == [
        f"[{'.' * 30}] channel 'a': 0 bytes of 3.0 MiB",
        f"[{'#' * 10}{'.' * 20}] channel 'a': 1.0 MiB of 3.0 MiB",
    ]
    bar.close(True)
    assert seen(terminal) == "channel 'a': 3.0 MiB in 0.0 s\n"


def test_a_file_gets_the_last_line_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = shown(monkeypatch, False)
    bar = Progress(3 << 20, "channel 'a'", True)
    for sent in range(0, 3 << 20, 1 << 18):
        bar.update(sent)
    assert terminal.writes == 0
    bar.close(False)
    assert terminal.getvalue() == "channel 'a': not all of 3.0 MiB has arrived, after 0.0 s\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_that_showed_by_itself_leaves_nothing(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    monkeypatch.setattr(progress, "SHOW_AFTER", 0.0)
    terminal = shown(monkeypatch, is_terminal)
    bar = Progress(100, "channel 'a'", None)
    bar.update(50)
    bar.close(True)
    assert seen(terminal).strip() == ""
