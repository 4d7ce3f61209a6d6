"""The shared-memory ring: a copy is whole, private and never waited for; memory that runs out is an error."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_rtc_nb import memory as memory_module
from forge_rtc_nb.ring import REGIONS, SHAPES, SLOT_BYTES, SLOTS, Reader, Writer, create_memory

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
FIXTURES = [HealthCheck.function_scoped_fixture]
FORMATS = ["rgb24", "bgr24", "rgba", "gray", "yuv420p"]


@pytest.fixture(params=["memfd", "posix"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A descriptor made in each of the two ways."""
    if request.param == "posix":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    fd = create_memory()
    yield fd
    os.close(fd)


def write(writer: Writer, value: int, size: tuple[int, int] = (4, 6), pixel_format: str = "rgb24") -> bool:
    """One picture filled with ``value``, which is its time and its index too."""
    writer.begin(*size, pixel_format)[:] = value
    return writer.end(float(value), value)


# ---- one after the other ----


def test_a_picture_arrives_with_its_pixels_time_and_index(memory: int) -> None:
    writer, reader = Writer(memory, 3), Reader(memory, 3)
    assert reader.head == 0
    assert reader.copy(0, "rgb24") is None
    write(writer, 7)
    assert reader.head == 1
    picture = reader.copy(0, "rgb24")
    assert picture is not None
    assert picture.array.shape == (4, 6, 3)
    assert (picture.array == 7).all()
    assert (picture.time, picture.index) == (7.0, 7)
    writer.close()
    reader.close()


@settings(max_examples=int(60 * FUZZ), deadline=None, suppress_health_check=FIXTURES)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(FORMATS), st.integers(0, REGIONS - 1))
def test_every_size_and_format_comes_out_as_it_went_in(
    memory: int, height: int, width: int, pixel_format: str, region: int
) -> None:
    if pixel_format == "yuv420p":
        height, width = height * 2, width * 2
    writer, reader = Writer(memory, region), Reader(memory, region)
    pixels = writer.begin(height, width, pixel_format)
    expected = np.random.default_rng(height).integers(0, 256, pixels.shape, np.uint8)
    pixels[:] = expected
    del pixels
    writer.end(1.5, 9)
    picture = reader.copy(0, pixel_format)
    assert picture is not None
    np.testing.assert_array_equal(picture.array, expected)
    writer.close()
    reader.close()


def test_a_copy_is_private_and_writable(memory: int) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    write(writer, 1)
    first, second = reader.copy(0, "rgb24"), reader.copy(0, "rgb24")
    assert first is not None
    assert second is not None
    first.array[:] = 99
    for value in range(2, 2 + SLOTS):
        write(writer, value)
    assert (second.array == 1).all()
    assert (first.array == 99).all()
    writer.close()
    reader.close()


def test_an_overwritten_frame_is_not_given_out(memory: int) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    for value in range(SLOTS + 2):
        write(writer, value)
    assert [reader.copy(number, "rgb24") is None for number in range(SLOTS + 2)] == [True] * 2 + [False] * SLOTS
    writer.close()
    reader.close()


def test_a_frame_that_is_being_written_is_not_given_out(memory: int) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    for value in range(SLOTS):
        write(writer, value)
    pixels = writer.begin(4, 6, "rgb24")
    assert reader.copy(0, "rgb24") is None
    assert reader.copy(SLOTS, "rgb24") is None
    del pixels
    writer.end(0.0, 0)
    assert reader.copy(SLOTS, "rgb24") is not None
    writer.close()
    reader.close()


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_the_newest_frame_can_be_read_where_it_lies(memory: int, pixel_format: str) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    assert reader.newest() is None
    for value in (3, 4):
        write(writer, value, (6, 8), pixel_format)
    glimpse = reader.newest()
    assert glimpse is not None
    assert (glimpse.pixel_format, glimpse.pixels.shape) == (pixel_format, SHAPES[pixel_format](6, 8))
    assert (glimpse.pixels == 4).all()
    assert glimpse.is_whole()
    for value in range(SLOTS - 1):
        write(writer, value)
    assert glimpse.is_whole()
    writer.begin(6, 8, pixel_format)
    assert not glimpse.is_whole()
    del glimpse
    writer.close()
    reader.close()


def test_the_reader_is_told_once_until_it_has_looked(memory: int) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    assert [write(writer, value) for value in range(3)] == [True, False, False]
    reader.acknowledge()
    assert [write(writer, value) for value in range(2)] == [True, False]
    writer.close()
    reader.close()


def test_regions_do_not_touch_each_other(memory: int) -> None:
    writers = [Writer(memory, number) for number in (0, 1, REGIONS - 1)]
    readers = [Reader(memory, number) for number in (0, 1, REGIONS - 1)]
    for value, writer in enumerate(writers, start=1):
        for _ in range(SLOTS + 1):
            write(writer, value)
    for value, reader in enumerate(readers, start=1):
        picture = reader.copy(SLOTS, "rgb24")
        assert picture is not None
        assert (picture.array == value).all()
    for region in (*writers, *readers):
        region.close()


@pytest.mark.parametrize("number", [-1, REGIONS])
def test_a_region_that_there_is_not_is_refused(memory: int, number: int) -> None:
    with pytest.raises(ValueError, match="region"):
        Reader(memory, number)


def test_a_picture_larger_than_a_slot_is_a_memory_error(memory: int) -> None:
    writer = Writer(memory, 0)
    with pytest.raises(MemoryError, match="does not fit"):
        writer.begin(SLOT_BYTES, 1, "rgb24")
    assert write(writer, 1)
    writer.close()


def test_a_header_that_lies_is_not_believed(memory: int) -> None:
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    write(writer, 5)
    for field, value in (("nbytes", SLOT_BYTES + 1), ("height", 5), ("width", 2**31)):
        before = int(writer._slots[0][field])
        writer._slots[0][field] = value
        assert reader.copy(0, "rgb24") is None
        writer._slots[0][field] = before
    assert reader.copy(0, "rgb24") is not None
    writer.close()
    reader.close()


# ---- memory ----


def pages(fd: int) -> int:
    return os.fstat(fd).st_blocks


def test_memory_is_taken_when_it_is_written_and_given_back_on_close() -> None:
    fd = create_memory()
    start = pages(fd)
    assert start == 0
    writer = Writer(fd, 2)
    small = pages(fd)
    for value in range(2 * SLOTS):
        write(writer, value, (480, 640))
    assert pages(fd) - small == pytest.approx(SLOTS * 480 * 640 * 3 / 512, rel=0.05)
    writer.close()
    writer.close()
    assert pages(fd) == start
    os.close(fd)


def test_a_region_is_empty_when_it_is_used_again(memory: int) -> None:
    writer = Writer(memory, 0)
    for value in range(SLOTS + 3):
        write(writer, value)
    writer.close()
    writer, reader = Writer(memory, 0), Reader(memory, 0)
    assert reader.head == 0
    assert all(reader.copy(number, "rgb24") is None for number in range(2 * SLOTS))
    assert write(writer, 1)
    writer.close()
    reader.close()


def test_a_closed_region_can_be_closed_again(memory: int) -> None:
    reader = Reader(memory, 0)
    reader.close()
    reader.close()


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)


def test_memory_that_cannot_be_had_is_a_memory_error_and_no_signal() -> None:
    # The file ends behind the header once it is mapped: touching a slot then is a SIGBUS, asking for it is EFBIG.
    done = run("""
        import os, resource
        from forge_rtc_nb.ring import HEADER_BYTES, Writer, create_memory
        fd = create_memory()
        writer = Writer(fd, 0)
        os.ftruncate(fd, HEADER_BYTES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES, resource.RLIM_INFINITY))
        for attempt in range(2):
            try:
                writer.begin(480, 640, "rgb24")
            except MemoryError as error:
                print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.begin(480, 640, "rgb24")[:] = 1
        print("written", writer.end(0.0, 0))
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["no shared memory for 921600 bytes: File too large"] * 2 + ["written True"]


def test_the_control_for_the_test_above_is_killed() -> None:
    done = run("""
        import os
        from forge_rtc_nb.ring import HEADER_BYTES, Writer, create_memory
        fd = create_memory()
        writer = Writer(fd, 0)
        writer.begin(480, 640, "rgb24")
        os.ftruncate(fd, HEADER_BYTES)
        writer.begin(480, 640, "rgb24")[:] = 1
        writer._pixels(0, 1)[:] = 1
    """)
    assert done.returncode < 0


def test_an_address_space_that_is_too_small_is_a_memory_error() -> None:
    done = run("""
        import resource
        from forge_rtc_nb.ring import Reader, create_memory
        fd = create_memory()
        resource.setrlimit(resource.RLIMIT_AS, (512 << 20, resource.RLIM_INFINITY))
        try:
            Reader(fd, 0)
        except MemoryError as error:
            print("MemoryError", error)
    """)
    assert done.stdout.startswith("MemoryError "), done.stderr


def test_a_file_size_limit_is_a_memory_error_that_names_it() -> None:
    done = run("""
        import resource
        from forge_rtc_nb.ring import create_memory
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            create_memory()
        except MemoryError as error:
            print("MemoryError", error)
    """)
    assert "ulimit -f" in done.stdout, done.stderr


def test_a_posix_object_has_no_name_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    fd = memory_module._posix_memory()
    assert (set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()) == before
    os.close(fd)


# ---- at the same time ----

WRITER = """
import sys
from forge_rtc_nb.ring import Writer
writer = Writer(int(sys.argv[1]), 0)
print("ready", flush=True)
sizes = [tuple(map(int, size.split("x"))) for size in sys.argv[2].split(",")]
number = 0
while True:
    height, width = sizes[number % len(sizes)]
    pixels = writer.begin(height, width, "gray")
    # In two halves, so that a torn copy would show two values.
    pixels[: height // 2] = number % 251
    pixels[height // 2 :] = number % 251
    del pixels
    writer.end(float(number), number)
    number += 1
"""


@pytest.fixture
def racing_writer() -> Iterator[Callable[[str], Reader]]:
    """Starts a process that writes as fast as it can, in pictures of the given sizes; returns a reader of its ring."""
    processes: list[subprocess.Popen[str]] = []
    readers: list[Reader] = []
    fd = create_memory()

    def start(sizes: str) -> Reader:
        command = [sys.executable, "-c", WRITER, str(fd), sizes]
        process = subprocess.Popen(command, pass_fds=(fd,), stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        readers.append(Reader(fd, 0))
        return readers[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    for reader in readers:
        reader.close()
    os.close(fd)


@pytest.mark.parametrize("sizes", ["64x64", "1080x1920", "480x640,720x1280,2x2"])
def test_no_copy_is_torn_while_another_process_writes(racing_writer: Callable[[str], Reader], sizes: str) -> None:
    reader = racing_writer(sizes)
    expected = [tuple(int(side) for side in size.split("x")) for size in sizes.split(",")]
    whole = torn = 0
    while whole + torn < 400 * FUZZ or not torn or not whole:
        # From the newest to the oldest, to which the writer is about to come round.
        number = max(0, reader.head - 1 - (whole + torn) % SLOTS)
        picture = reader.copy(number, "gray")
        if picture is None:
            torn += 1
            continue
        whole += 1
        assert picture.index == number
        assert picture.time == float(number)
        assert picture.array.shape == expected[number % len(expected)]
        assert (picture.array == number % 251).all()
