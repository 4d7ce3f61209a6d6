"""What pictures can be taken from, one after the other (runs in the kernel)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol


class Ended(Exception):
    """There are no more pictures."""


NOTHING_NEW = object()
"""What `Source.take` returns where the picture is still the one before."""


class Source(Protocol):
    """All but `interrupt` is called in the one thread of its publication."""

    @property
    def lasts(self) -> bool:
        """Whether it may give pictures again after an exception."""

    def take(self) -> Any:
        """What the user gives as the next picture, or `NOTHING_NEW`. Blocks as long as the user's code does.

        Errors: `Ended`, and whatever the user's code raises.
        """

    def interrupt(self) -> None:
        """Nobody wants the picture any more that `take` waits for; in any thread."""

    def close(self) -> None:
        """The last call."""


class Calling:
    """A function that is called for each picture."""

    lasts = True

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def take(self) -> Any:
        return self._function()

    def interrupt(self) -> None:
        """Python has no way to stop a function."""

    def close(self) -> None:
        """Nothing is held."""


class Iterating:
    """A generator, or another iterator: its end is that of the publication, and an exception too."""

    lasts = False

    def __init__(self, pictures: Iterator[Any]) -> None:
        self._pictures = pictures

    def take(self) -> Any:
        try:
            return next(self._pictures)
        except StopIteration:
            raise Ended from None

    def interrupt(self) -> None:
        """Python has no way to stop a generator that runs."""

    def close(self) -> None:
        """So that a generator's ``finally`` runs now."""
        if isinstance(self._pictures, Generator):
            self._pictures.close()
