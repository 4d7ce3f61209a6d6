"""What a kernel publishes, read in another kernel: pictures as they went in, only while somebody watches (test process)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import forge_rtc_nb as rtc
from tests.kernel.conftest import Make
from tests.python_process import PythonProcess
from tests.support import wait_for

_numbers = itertools.count(1)

RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 230), (240, 240, 240)


def name() -> str:
    return f"plot {next(_numbers)}"


def corners(height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A quarter of each colour: red and green above, blue and white below."""
    picture = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:] = RED, GREEN
    picture[top:, :left], picture[top:, left:] = BLUE, WHITE
    return picture


def flat(gray: int, size: tuple[int, int] = (96, 128)) -> NDArray[np.uint8]:
    return np.full(size, gray, np.uint8)


READ = """
def middle(name, corner=(0.5, 0.5)):
    picture = room.video("ann", name).latest(timeout=20).array
    height, width = picture.shape[:2]
    return picture.shape, picture[int(height * corner[0]), int(width * corner[1])].tolist()
"""


@pytest.fixture(scope="module")
def reader(bob: PythonProcess) -> PythonProcess:
    bob.run(READ)
    return bob


def seen(reader: PythonProcess, stream: str, corner: tuple[float, float] = (0.5, 0.5)) -> tuple[tuple[int, ...], list[int]]:
    """Shape and one pixel of the newest picture that the other kernel has."""
    shape, pixel = reader.run(f"middle({stream!r}, {corner})")
    return tuple(shape), pixel


def close_to(pixel: list[int], colour: tuple[int, ...] | int, by: int = 12) -> bool:
    return bool(np.abs(np.subtract(pixel, colour)).max() <= by)


def shows(reader: PythonProcess, stream: str, gray: int) -> None:
    wait_for(lambda: close_to(seen(reader, stream)[1], gray), 20, f"{stream} shows {gray}")


def stop_reading(reader: PythonProcess, stream: str) -> None:
    reader.run(f"room.video('ann', {stream!r}).stop()")


# ---- pictures ----


@pytest.mark.parametrize("codec", ["H264", "VP8"])
@pytest.mark.parametrize("size", [(120, 160), (121, 161)])
def test_colours_and_orientation_are_right(room: rtc.Room, reader: PythonProcess, codec: str, size: tuple[int, int]) -> None:
    with room.publish(corners(*size), name=(stream := name()), codec=codec):
        places = {(0.25, 0.25): RED, (0.25, 0.75): GREEN, (0.75, 0.25): BLUE, (0.75, 0.75): WHITE}
        for place, colour in places.items():
            wait_for(lambda p=place, c=colour: close_to(seen(reader, stream, p)[1], c), 20, f"{colour} at {place}")  # type: ignore[misc]
        (height, width, _), _pixel = seen(reader, stream)
        assert abs(height - size[0]) <= 1
        assert abs(width - size[1]) <= 1


@pytest.mark.parametrize(
    "picture",
    [flat(128), np.full((96, 128), 0.5), np.full((96, 128, 3), 0.5, np.float32), np.full((96, 128, 4), 128, np.uint8)],
    ids=["gray", "float", "RGB float32", "RGBA"],
)
def test_every_kind_of_array_is_the_picture_that_it_means(room: rtc.Room, reader: PythonProcess, picture: Any) -> None:
    with room.publish(picture, name=(stream := name())):
        shows(reader, stream, 128)


def test_a_still_is_replaced_and_changes_its_size(room: rtc.Room, reader: PythonProcess) -> None:
    with room.publish(flat(60), name=(stream := name())) as publication:
        shows(reader, stream, 60)
        publication.frame = flat(200, (240, 320))
        shows(reader, stream, 200)
        assert seen(reader, stream)[0] == (240, 320, 3)


def test_what_the_other_kernel_publishes_is_read_here(room: rtc.Room, bob: PythonProcess) -> None:
    stream = name()
    bob.run(f"import numpy as np; published = room.publish(np.full((96, 128), 90, np.uint8), name={stream!r})")
    frame = room.video("bob", stream).latest(timeout=20)
    assert frame.array.shape == (96, 128, 3)
    assert close_to(frame.array[50, 50].tolist(), 90)
    wait_for(lambda: bob.run("published.viewers") == 1, 10, "the other kernel knows of its viewer")
    bob.run("published.stop()")
    wait_for(lambda: stream not in [other.name for other in room.streams], 10, "the stream is gone")


# ---- sources ----


def test_a_function_is_called_only_while_somebody_watches(room: rtc.Room, reader: PythonProcess) -> None:
    calls = itertools.count()
    called = 0

    def draw() -> NDArray[np.uint8]:
        nonlocal called
        called = next(calls) + 1
        return flat(100)

    with room.publish(draw, name=(stream := name()), fps=60) as publication:
        assert publication.viewers == 0
        while_others_are_drawn(room, reader)
        assert called == 0
        shows(reader, stream, 100)
        wait_for(lambda: publication.viewers == 1, 10, "the viewer is counted")
        stop_reading(reader, stream)
        wait_for(lambda: publication.viewers == 0, 20, "nobody watches")
        before = called
        while_others_are_drawn(room, reader)
        assert called <= before + 1  # the one that was being drawn
        shows(reader, stream, 100)
        wait_for(lambda: called > before + 1, 10, "it is called again")


def while_others_are_drawn(room: rtc.Room, reader: PythonProcess) -> None:
    """Returns after so many pictures of another publication, of the same rate, were drawn and seen."""
    with room.publish(lambda: flat(150), name=(stream := name()), fps=60) as other:
        shows(reader, stream, 150)
        wait_for(lambda: other.stats().pictures >= 20, 20, "twenty pictures")


def grays() -> Iterator[NDArray[np.uint8]]:
    for gray in (50, 100, 150, 200):
        yield flat(gray)


async def later_grays() -> AsyncIterator[NDArray[np.uint8]]:
    for gray in (50, 100, 150, 200):
        await asyncio.sleep(0.01)
        yield flat(gray)


@pytest.mark.parametrize("pictures", [grays, later_grays], ids=["generator", "async generator"])
def test_a_generator_ends_its_publication(room: rtc.Room, reader: PythonProcess, pictures: Any) -> None:
    publication = room.publish(pictures(), name=(stream := name()), fps=20)
    seen(reader, stream)
    wait_for(lambda: publication.state == "ended", 20, "it has ended")
    wait_for(lambda: stream not in reader.run("[s.name for s in room.streams]"), 10, "the others know")


def test_a_figure_is_rendered_again_when_it_changes(room: rtc.Room, reader: PythonProcess) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2, 2.4), dpi=100, facecolor=(0.4, 0.4, 0.4))
    with room.publish(figure, name=(stream := name())) as publication:
        shows(reader, stream, 102)
        pictures = publication.stats().pictures
        figure.set_facecolor((0.8, 0.8, 0.8))
        shows(reader, stream, 204)
        assert publication.stats().pictures == pictures + 1


def test_a_mapped_stream_is_what_its_function_makes_of_it(room: rtc.Room, reader: PythonProcess, make: Make) -> None:
    mapped = make((96, 128)).map(lambda picture: np.full_like(picture, 70))
    with room.publish(mapped, name=(stream := name())):
        shows(reader, stream, 70)
        mapped.fn = lambda picture: np.full_like(picture, 170)
        shows(reader, stream, 170)


# ---- faults ----


def test_a_source_that_raises_is_told_once_and_the_last_good_picture_stays(
    room: rtc.Room, reader: PythonProcess, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    errors: list[BaseException] = []
    room.on("error", errors.append)

    def draw() -> NDArray[np.uint8]:
        if broken.is_set():
            raise ZeroDivisionError("a test")
        return flat(100)

    with caplog.at_level(logging.ERROR), room.publish(draw, name=(stream := name()), fps=60) as publication:
        shows(reader, stream, 100)
        broken.set()
        wait_for(lambda: errors, 10, "it is told")
        shows(reader, stream, 100)
        assert publication.state == "live"
        broken.clear()
        before = publication.stats().pictures
        wait_for(lambda: publication.stats().pictures > before, 10, "it goes on")
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert caplog.text.count("ZeroDivisionError: a test") == 1


def test_a_kernel_that_is_busy_is_told_and_its_last_picture_stays(room: rtc.Room, bob: PythonProcess) -> None:
    stream = name()
    bob.run("import ctypes, numpy as np")
    bob.run(f"published = room.publish(lambda: np.full((96, 128), 90, np.uint8), name={stream!r})")
    watched = room.video("bob", stream)

    def is_stalled() -> bool:
        assert close_to(watched.latest(timeout=20).array[50, 50].tolist(), 90)
        return next(other.stalled for other in room.streams if other.name == stream)

    assert not is_stalled()
    busy = bob.start("ctypes.PyDLL(None).sleep(8)")  # a call into C that keeps the interpreter
    wait_for(is_stalled, 10, "everybody knows")
    assert not busy.done()
    watched.stop()
    with closing(watched.frames()) as frames:  # who comes now sees it, too
        assert close_to(next(frames).array[50, 50].tolist(), 90)
    busy.result(20)
    wait_for(lambda: not is_stalled(), 10, "it is over")
    bob.run("published.stop()")


def test_a_source_that_takes_its_time_is_not_a_busy_kernel(room: rtc.Room, bob: PythonProcess) -> None:
    stream = name()
    bob.run("import time, numpy as np")
    bob.run(
        f"draw = lambda: (time.sleep(4), np.full((96, 128), 90, np.uint8))[1]; published = room.publish(draw, name={stream!r})"
    )
    frames = iter(room.video("bob", stream))
    for _ in range(2):
        next(frames)
        assert not any(other.stalled for other in room.streams)
    frames.close()
    bob.run("published.stop()")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_a_source_may_change_its_dtype(room: rtc.Room, reader: PythonProcess, dtype: Any) -> None:
    full = {np.uint8: 255, np.float32: 1.0, bool: True}[dtype]
    pictures = iter([flat(100), np.full((120, 160, 3), full, dtype)])
    newest = next(pictures)

    def draw() -> Any:
        return newest

    with room.publish(draw, name=(stream := name())):
        shows(reader, stream, 100)
        newest = next(pictures)
        shows(reader, stream, 255)
        assert seen(reader, stream)[0] == (120, 160, 3)


def test_a_source_that_gives_the_wrong_thing_is_told_once(room: rtc.Room, reader: PythonProcess) -> None:
    errors: list[BaseException] = []
    room.on("error", errors.append)
    newest: Any = flat(100)
    with room.publish(lambda: newest, name=(stream := name()), fps=60) as publication:
        shows(reader, stream, 100)
        newest = "no picture"
        wait_for(lambda: errors, 10, "it is told")
        shows(reader, stream, 100)
        newest = flat(180)
        shows(reader, stream, 180)
        assert publication.state == "live"
    assert [str(error) for error in errors] == [str(error) for error in errors[:1]]
    assert "a str is no picture" in str(errors[0])


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ([1, 2], TypeError, "np.array"),
        (np.zeros((4, 4), np.int32), TypeError, "astype"),
        (np.zeros((4, 4, 7)), TypeError, "shape"),
        (np.zeros((1, 9000, 3)), ValueError, "pixels a side"),
        (None, TypeError, "publish takes"),
    ],
)
def test_what_cannot_be_published_is_an_error_that_says_what_to_do(
    room: rtc.Room, source: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        room.publish(source, name=name())


def test_a_name_in_use_is_replaced_and_viewers_stay(room: rtc.Room, reader: PythonProcess) -> None:
    stream = name()
    first = room.publish(flat(60), name=stream)
    shows(reader, stream, 60)
    with room.publish(flat(180), name=stream) as second:
        shows(reader, stream, 180)
        assert first.state == "ended"
        wait_for(lambda: second.viewers == 1, 10, "the viewer is counted")
        first.stop()
        shows(reader, stream, 180)


def test_many_publications_leave_nothing(room: rtc.Room) -> None:
    before = threading.active_count()
    for _ in range(20):
        room.publish(flat, name="again and again").stop()
    publications = [room.publish(flat(50), name=name()) for _ in range(32)]
    with pytest.raises(rtc.RTCError, match="32 streams"):
        room.publish(flat(50), name=name())
    for publication in publications:
        publication.stop()
    wait_for(lambda: threading.active_count() == before, 10, "the threads are gone")
    with room.publish(flat(50), name=name()) as publication:
        assert publication.state == "live"


def test_leaving_ends_what_is_published(join: Any, room_id: str) -> None:
    room = join(room_id, name="ann")
    publication = room.publish(flat(50), name="still")
    room.leave()
    assert publication.state == "ended"
    with pytest.raises(rtc.RTCError, match="left"):
        publication.frame = flat(60)
