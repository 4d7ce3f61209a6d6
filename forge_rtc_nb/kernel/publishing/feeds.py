"""What takes the pictures of each kind of source (runs in the kernel)."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ..streams import VideoStream
from .awaiting import Awaiting
from .figures import Figures, is_figure
from .handle import Feed
from .mapped import MappedStream
from .pixels import look
from .relay import Relay
from .runner import Host, Runner
from .source import Calling, Iterating, Source
from .tap import Tap

SOURCES = "a numpy array, a function that returns one, an (async) generator of them, a matplotlib Figure or a VideoStream"


def is_still(source: object) -> bool:
    """A picture, and not what gives pictures. Errors: `TypeError`, `ValueError` for one that cannot be sent."""
    if isinstance(source, VideoStream) or is_figure(source) or not hasattr(source, "__array__"):
        return False
    look(source)
    return True


def check(source: object) -> None:
    """`TypeError` where nothing can take pictures from it, `ValueError` for the size of a still."""
    if not is_still(source) and not isinstance(source, VideoStream):
        _source(source)


def feed(source: object, fps: float, host: Host) -> Feed | None:
    """None for a still, which is shown once."""
    if is_still(source):
        return None
    if isinstance(source, MappedStream):
        return Tap(source.relay, fps, host)
    if isinstance(source, VideoStream):
        # As it was decoded, and as it will be encoded: nothing is converted in between.
        return Tap(Relay(source, "yuv420p", None, f"publication {host.name!r}"), fps, host)
    return Runner(_source(source), fps, host)


def _source(source: Any) -> Source:
    if is_figure(source):
        return Figures(source)
    if inspect.iscoroutinefunction(source):
        raise TypeError("a coroutine function cannot be published: make it an async generator, with yield instead of return")
    if inspect.isgeneratorfunction(source) or inspect.isasyncgenfunction(source):
        source = source()
    if isinstance(source, AsyncIterator):
        return Awaiting(source)
    if isinstance(source, Iterator):
        return Iterating(source)
    if callable(source):
        return Calling(source)
    hint = "; of a list make np.array(...) or iter(...)" if isinstance(source, list | tuple) else ""
    raise TypeError(f"publish takes {SOURCES}, not a {type(source).__name__}{hint}")
