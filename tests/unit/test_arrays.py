"""Values as header and body: golden vectors for both languages, all dtypes and layouts, what must be refused (test process)."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forge_rtc_nb import arrays
from forge_rtc_nb.arrays import ArrayHeader, InvalidValue, MessageTooLarge, check, pack, parse_header, unpack

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
LIMIT = 1 << 30
VECTORS = json.loads((Path(__file__).parents[1] / "wire" / "data" / "values.json").read_text(encoding="utf-8"))


def through(value: object) -> Any:
    """What arrives where ``value`` is sent."""
    packed = pack(value, 1.5)
    header = parse_header(packed.header)
    check(header, packed.size, LIMIT)
    return unpack(header, packed.to_bytes())  # type: ignore[arg-type]  # of a table there is none here


def assert_equal(sent: Any, arrived: Any) -> None:
    assert isinstance(arrived, np.ndarray)
    assert (arrived.dtype.str, arrived.shape) == (sent.dtype.str, sent.shape)
    assert arrived.tobytes() == sent.tobytes()
    assert not arrived.flags.writeable


# ---- the vectors ----


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["name"])
def test_valid_vector_is_read_and_written_alike(case: dict[str, Any]) -> None:
    body = bytes.fromhex(case["body"])
    header = parse_header(json.dumps(case["header"]).encode())
    check(header, len(body), LIMIT)
    if header.kind in ("table", "frame"):
        return
    value = unpack(header, body)  # type: ignore[arg-type]
    packed = pack(value, header.time)
    assert json.loads(packed.header) == case["header"]
    if "text" in case:
        assert value == case["text"]
    if "bytes" in case:
        assert value == body
    if "json" in case:
        assert value == case["json"]
        assert json.loads(packed.to_bytes()) == case["json"]
    else:
        assert packed.to_bytes() == body


@pytest.mark.parametrize("case", [c for c in VECTORS["valid"] if "elements" in c], ids=lambda case: case["name"])
def test_the_elements_of_an_array_are_those_of_the_vector(case: dict[str, Any]) -> None:
    header = parse_header(json.dumps(case["header"]).encode())
    assert isinstance(header, ArrayHeader)
    arrived = unpack(header, bytes.fromhex(case["body"])).ravel()  # in C order, as the vector has them
    read: Any = {"c": lambda pair: complex(float(pair[0]), float(pair[1])), "f": float, "b": bool}
    elements = [read.get(arrived.dtype.kind, int)(element) for element in case["elements"]]
    assert list(map(repr, arrived.tolist())) == list(map(repr, elements))  # nan is nan, and -0.0 is not 0.0


@pytest.mark.parametrize("case", VECTORS["headers"], ids=lambda case: case["name"])
def test_headers_are_read_with_what_is_not_known_left_out(case: dict[str, Any]) -> None:
    header = parse_header(case["header"].encode())
    assert json.loads(arrays._encoder.encode(header)) == case["reads"]


@pytest.mark.parametrize("case", VECTORS["refused_headers"], ids=lambda case: case["why"])
def test_refused_header(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["header"].encode()
    with pytest.raises(MessageTooLarge if case.get("error") == "too-large" else InvalidValue) as caught:
        check(parse_header(data), case["size"], LIMIT)
    assert isinstance(caught.value, MessageTooLarge) == (case.get("error") == "too-large")


@pytest.mark.parametrize("case", VECTORS["refused_bodies"], ids=lambda case: case["why"])
def test_refused_body(case: dict[str, Any]) -> None:
    header = parse_header(json.dumps(case["header"]).encode())
    with pytest.raises(InvalidValue):
        unpack(header, bytes.fromhex(case["body"]))  # type: ignore[arg-type]


def test_every_dtype_has_a_vector() -> None:
    assert {case["header"].get("dtype") for case in VECTORS["valid"]} >= set(arrays.DTYPES)


# ---- arrays of every kind ----

NUMBERS = hnp.from_dtype
DTYPES = st.sampled_from(list(arrays.DTYPES.values()))
SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)


def laid_out(array: Any, layout: str) -> Any:
    match layout:
        case "F":
            return np.asfortranarray(array)
        case "reversed":
            return array[tuple(slice(None, None, -1) for _ in array.shape)]
        case "every other":
            return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
        case "transposed":
            return array.T
        case "broadcast":
            return np.broadcast_to(array, (2, *array.shape))
        case _:
            return array


@settings(max_examples=int(500 * FUZZ), deadline=None)
@given(
    array=hnp.arrays(DTYPES, SHAPES),
    layout=st.sampled_from(["C", "F", "reversed", "every other", "transposed", "broadcast"]),
)
def test_an_array_arrives_equal_whatever_its_dtype_shape_and_layout(array: Any, layout: str) -> None:
    sent = laid_out(array, layout)
    assert_equal(sent, through(sent))


def test_fortran_order_is_kept_and_nothing_is_copied_on_arrival() -> None:
    sent = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    packed = pack(sent, 1.5)
    body = packed.to_bytes()
    arrived = unpack(parse_header(packed.header), body)  # type: ignore[arg-type]
    assert arrived.flags.f_contiguous
    assert np.shares_memory(arrived, np.frombuffer(body, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        arrived[0, 0] = 1


def test_a_view_of_writable_memory_cannot_be_written() -> None:
    packed = pack(np.arange(4), 1.5)
    arrived = unpack(parse_header(packed.header), memoryview(bytearray(packed.to_bytes())))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="WRITEABLE"):
        arrived.flags.writeable = True


@pytest.mark.parametrize("scalar", [np.float32(1.5), np.int8(-3), np.bool_(True), np.complex128(1 + 2j)])
def test_a_scalar_of_numpy_is_an_array_without_dimensions(scalar: Any) -> None:
    assert_equal(np.asarray(scalar), through(scalar))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, np.longdouble),
        np.zeros(2, np.clongdouble),
        np.array([{}, None], object),
        np.zeros(2, [("a", "<f8")]),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(2, "datetime64[s]"),
        np.zeros(2, "V8"),
    ],
    ids=lambda array: array.dtype.str,
)
def test_dtypes_that_cannot_be_sent(array: Any) -> None:
    with pytest.raises(TypeError, match="astype"):
        pack(array, 1.5)


def test_a_masked_array_is_not_sent_without_its_mask() -> None:
    with pytest.raises(TypeError, match="mask"):
        pack(np.ma.masked_array([1, 2], [True, False]), 1.5)


# ---- other values ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(JSON | st.binary() | st.text())
def test_a_value_arrives_equal_and_of_its_type(value: object) -> None:
    try:
        arrived = through(value)
    except ValueError as error:
        assert "surrogate" in str(error)  # half a character somewhere, which UTF-8 cannot say
        return
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (math.nan, "array"),
        ([math.inf], "array"),
        ({1: 2}, "str"),
        ({"a": object()}, "cannot be sent"),
        ([np.zeros(2)], "tolist"),
        ({1, 2}, "cannot be sent"),
        (object(), "cannot be sent"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_sent_says_what_to_do(value: object, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        pack(value, 1.5)


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested"):
        pack(value, 1.5)


# ---- shapes that no array has ----


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ([2**63], 0),
        ([-1], 0),
        ([2**53], 2**53),
        ([1] * 10**6, 1),
        ([1] * 33, 1),
        ([0, 2**53 - 1, 2**53 - 1], 0),
        ([2**32, 2**32], 0),
        ([3], 2),
        ([3], 4),
        ([1.5], 1),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_shapes_are_refused_before_memory_is_taken(shape: list[Any], size: int) -> None:
    header = json.dumps({"kind": "array", "dtype": "|u1", "shape": shape, "time": 1.5}).encode()
    with pytest.raises(InvalidValue):
        check(parse_header(header), size, LIMIT)
