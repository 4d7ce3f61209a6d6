"""Previews of arrays: small whatever comes, and they show what there is to see (test process)."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb import arrays
from forge_rtc_nb.arrays import DTYPES, Array
from forge_rtc_nb.engine.data.preview import MAX_PIXELS, SAMPLES, Preview, preview

pytestmark = pytest.mark.filterwarnings("error")


def of(value: object) -> Preview | None:
    packed = arrays.pack(value, 1.0)
    return preview(arrays.parse_header(packed.header), memoryview(packed.to_bytes()))


def shown(value: Array) -> Array:
    """The elements of the preview that there must be."""
    result = of(value)
    assert result is not None
    return np.frombuffer(result.body, result.dtype).reshape(result.shape)


# ---- pictures ----


def test_a_small_picture_is_shown_as_it_is() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(shown(picture), picture)
    assert np.array_equal(shown(picture[..., 0]), picture[..., 0])


def test_a_fourth_plane_is_left_out() -> None:
    picture = np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4)
    assert np.array_equal(shown(picture), picture[..., :3])


def test_a_large_picture_keeps_its_proportions() -> None:
    assert shown(np.zeros((720, 1280, 3), np.uint8)).shape == (72, 128, 3)
    assert shown(np.zeros((1280, 720), np.uint8)).shape == (128, 72)
    assert shown(np.zeros((129, 129), np.uint8)).shape == (65, 65)


def test_a_narrow_picture_keeps_its_narrow_side() -> None:
    assert shown(np.zeros((4, 100_000), np.uint8)).shape == (4, 128)
    assert shown(np.zeros((100_000, 40), np.uint8)).shape == (128, 20)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<u8", ">f4", "<f8", ">f8", "<f2", "|i1", "<c8", ">c16"])
def test_numbers_are_shown_from_black_to_white(dtype: str) -> None:
    assert shown(np.array([[0, 1], [2, 4]], dtype)).tolist() == [[0, 64], [128, 255]]


def test_negative_numbers_are_darker_than_positive_ones() -> None:
    assert shown(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[0, 128, 255]]


def test_complex_numbers_are_shown_by_their_magnitude() -> None:
    assert shown(np.array([[0, 3 + 4j, -10]])).tolist() == [[0, 128, 255]]


def test_truth_values_are_black_and_white() -> None:
    assert shown(np.array([[True, False]])).tolist() == [[255, 0]]
    assert shown(np.array([[[True, False, True]]])).tolist() == [[[255, 0, 255]]]


def test_nan_and_infinity_do_not_blind_the_picture() -> None:
    assert shown(np.array([[np.nan, -np.inf, 0.0, 1.0, 2.0, np.inf]])).tolist() == [[0, 0, 0, 128, 255, 255]]


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, np.inf, 5e-324])
def test_a_picture_of_one_value_is_black(value: float) -> None:
    assert not shown(np.full((3, 3), value)).any()


def test_the_largest_numbers_that_there_are_can_be_told_apart() -> None:
    largest = np.finfo(np.float64).max
    assert shown(np.array([[-largest, 0, largest]])).tolist() == [[0, 128, 255]]


def test_an_array_in_fortran_order_is_shown_as_it_is() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(shown(np.asfortranarray(picture)), picture)


# ---- lines ----


def test_a_short_line_is_shown_as_it_is() -> None:
    assert shown(np.arange(128, dtype=">i4")).tolist() == list(range(128))


@pytest.mark.parametrize("length", [129, 1000, SAMPLES])
def test_a_peak_of_one_element_can_be_seen(length: int) -> None:
    line = np.zeros(length)
    line[length // 3] = 5
    line[length // 2] = -5
    points = shown(line)
    assert len(points) == MAX_PIXELS
    assert (points.min(), points.max()) == (-5, 5)
    assert np.count_nonzero(points) == 2


def test_a_long_line_keeps_its_form() -> None:
    points = shown(np.linspace(0, 1, 1_000_000))
    assert np.allclose(points[0::2], np.arange(64) / 64, atol=0.001)
    assert np.allclose(points[1::2], np.arange(1, 65) / 64, atol=0.001)


def test_a_line_has_gaps_only_where_there_is_nothing() -> None:
    line = np.full(1000, np.nan)
    line[500:] = 1
    line[700] = np.inf
    points = shown(line)
    assert np.isnan(points[:60]).all()
    assert (points[66:] == 1).all()


def test_a_line_of_numbers_too_large_for_its_dtype_stays_finite() -> None:
    assert np.isfinite(shown(np.array([1e300, -1e300]))).all()


def test_truth_values_make_a_line_too() -> None:
    assert shown(np.array([True, False])).tolist() == [1, 0]


# ---- what there is no picture of ----


@pytest.mark.parametrize(
    "value",
    [
        "text",
        b"bytes",
        {"a": [1, 2]},
        np.float64(1),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros(0),
        np.zeros((0, 5)),
        np.zeros((5, 0, 3), np.uint8),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'shape', '')}",
)
def test_there_is_no_picture_of_other_values(value: object) -> None:
    assert of(value) is None


# ---- whatever comes ----


SHAPES = st.one_of(
    st.tuples(st.integers(0, 40_000)),
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 5)),
    st.tuples(st.just(2), st.just(2), st.just(2), st.integers(0, 3)),
)


@settings(max_examples=300, deadline=None)
@given(dtype=st.sampled_from(sorted(DTYPES)), shape=SHAPES, seed=st.integers(0, 2**32), fortran=st.booleans())
def test_a_preview_is_small_and_whole_whatever_the_array(dtype: str, shape: tuple[int, ...], seed: int, fortran: bool) -> None:
    size = math.prod(shape) * DTYPES[dtype].itemsize
    array = np.frombuffer(np.random.default_rng(seed).bytes(size), dtype).reshape(shape)
    result = of(np.asfortranarray(array) if fortran else array)
    if result is None:
        assert array.size == 0 or array.ndim != 1
        return
    assert all(1 <= n <= MAX_PIXELS for n in result.shape)
    assert len(result.body) == np.prod(result.shape) * np.dtype(result.dtype).itemsize
    if result.dtype == "<f4":
        assert len(result.shape) == 1 == array.ndim
        assert not np.isinf(np.frombuffer(result.body, result.dtype)).any()
    else:
        assert len(result.shape) == 2 or (len(result.shape) == 3 and result.shape[2] == 3)


def untouched(size: int) -> memoryview:
    """Zeros that take no memory as long as they are only read."""
    return np.zeros(size, np.uint8).data


@settings(max_examples=200, deadline=None)
@given(rows=st.integers(1, 20_000), columns=st.integers(1, 20_000))
def test_a_picture_has_neither_too_many_nor_too_few_pixels(rows: int, columns: int) -> None:
    header = arrays.ArrayHeader(dtype="|u1", shape=[rows, columns], time=1.0)
    result = preview(header, untouched(rows * columns))
    assert result is not None
    for n, pixels in zip((rows, columns), result.shape, strict=True):
        assert min(n, 16) <= pixels * (16 if n < max(rows, columns) else 1)
        assert pixels <= min(n, MAX_PIXELS)


@pytest.mark.parametrize("shape", [[1 << 27], [1 << 13, 1 << 14], [1 << 14, 1 << 13]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_gibibyte_is_previewed_at_once_and_hardly_touched(shape: list[int], order: arrays.Order) -> None:
    header = arrays.ArrayHeader(dtype=">f8", shape=shape, order=order, time=1.0)
    body = untouched(1 << 30)
    start = time.perf_counter()
    assert preview(header, body) is not None
    assert time.perf_counter() - start < 0.5
