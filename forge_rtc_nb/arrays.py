"""Arrays, bytes, text and JSON as a header and a body, and back. Kernel and engine use it; pure, no I/O.

`docs/protocol.md` describes headers and bodies in words; `tests/wire/data/values.json` holds examples that both languages
must read alike. What comes from others is checked before any memory is taken for it; nothing in it is ever run or unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, assert_never, cast, get_args

import msgspec
import numpy as np

from .frames import MAX_HEADER, MAX_SIZE

MAX_DIMS = 32
MAX_DEPTH = 256
"""Lists and objects inside each other in a JSON value: deeper ones overflow the stacks of those who work on them."""

Dtype = Literal[
    "|b1", "|i1", "|u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8",
    "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16",
]  # fmt: skip
DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in get_args(Dtype)}
"""What an array may consist of, by numpy's ``dtype.str``."""

Order = Literal["C", "F"]
Array = np.ndarray[Any, np.dtype[Any]]
Body = bytes | bytearray | memoryview


class InvalidValue(ValueError):
    """What came is not a value as docs/protocol.md has it; the text says why."""


class MessageTooLarge(InvalidValue):
    """A body has more bytes than its receiver takes."""


# ---- headers ----


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What the body of a message is."""

    kind: ClassVar[str]
    time: float
    """The sender's clock at ``send``, Unix seconds."""
    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """The sender's name of this message, by which one that is sent again is known."""


class ArrayHeader(Header, frozen=True, tag="array"):
    kind: ClassVar[str] = "array"
    dtype: Dtype
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]], msgspec.Meta(max_length=MAX_DIMS)]
    order: Order = "C"


class BytesHeader(Header, frozen=True, tag="bytes"):
    kind: ClassVar[str] = "bytes"


class StrHeader(Header, frozen=True, tag="str"):
    kind: ClassVar[str] = "str"


class JsonHeader(Header, frozen=True, tag="json"):
    kind: ClassVar[str] = "json"


class TableHeader(Header, frozen=True, tag="table"):
    """An Arrow table, of which this module knows nothing but its header."""

    kind: ClassVar[str] = "table"


class FrameHeader(Header, frozen=True, tag="frame"):
    """A pandas ``DataFrame`` as an Arrow table."""

    kind: ClassVar[str] = "frame"


ValueHeader = ArrayHeader | BytesHeader | StrHeader | JsonHeader | TableHeader | FrameHeader

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[ValueHeader] = msgspec.json.Decoder(ValueHeader)


def parse_header(data: Body) -> ValueHeader:
    """Read and validate the header of a value; unknown fields are ignored. `InvalidValue` for anything else."""
    if len(data) > MAX_HEADER:
        raise InvalidValue(f"a header may have {MAX_HEADER} bytes, this one has {len(data)}")
    try:
        return _decoder.decode(str(data, "utf-8"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidValue(f"not the header of a value: {error}") from None


def check(header: ValueHeader, size: int, limit: int) -> None:
    """See whether a body of ``size`` bytes is one of this header and at most ``limit``, before memory is taken for it.

    Errors: `MessageTooLarge`; `InvalidValue` where the two do not fit together.
    """
    if size > limit:
        raise MessageTooLarge(f"a message may have {limit} bytes, this one has {size}")
    if not isinstance(header, ArrayHeader):
        return
    if len(header.shape) > MAX_DIMS:
        raise InvalidValue(f"an array may have {MAX_DIMS} dimensions, this one has {len(header.shape)}")
    # numpy computes strides from the dimensions that are not 0, so those of an empty array must not overflow either.
    span = math.prod(n for n in header.shape if n) * DTYPES[header.dtype].itemsize
    if span > MAX_SIZE:
        raise InvalidValue(f"the shape {header.shape} is too large for an array")
    expected = 0 if 0 in header.shape else span
    if size != expected:
        raise InvalidValue(f"shape {header.shape} of {header.dtype} takes {expected} bytes, the body has {size}")


# ---- arrays ----


def memory_order(array: Array) -> Order:
    """The order in which the elements are sent: Fortran order where they lie so already, else C order."""
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def array_header(array: Array, time: float) -> ArrayHeader:
    """What to say of an array that is sent; `TypeError` for a dtype that cannot be, `ValueError` for such a shape."""
    name = array.dtype.str
    # Types that numpy does not know itself may call themselves like one that it does.
    if name not in DTYPES or DTYPES[name] != array.dtype:
        raise TypeError(
            f"an array of dtype {array.dtype} cannot be sent: convert it with .astype() to bool, an integer, float or complex "
            "type of at most 16 bytes an element (float64, complex128)"
        )
    header = ArrayHeader(dtype=cast(Dtype, name), shape=list(array.shape), order=memory_order(array), time=time)
    check(header, array.nbytes, array.nbytes)
    return header


def copy_into(array: Array, target: memoryview) -> None:
    """Copy the elements to the beginning of ``target`` in their `memory_order`, whatever their layout, in one pass."""
    copy: Array = np.ndarray(array.shape, array.dtype, buffer=target, order=memory_order(array))
    np.copyto(copy, array)


def view(header: ArrayHeader, body: Body) -> Array:
    """The array that a body is: read-only, over that very memory, which it keeps alive. The header is a checked one."""
    check(header, len(body), len(body))
    # Through an array of bytes, which refuses to become writable again; a memoryview is passed by for what is behind it.
    memory = np.frombuffer(memoryview(body).toreadonly(), np.uint8)
    return np.ndarray(header.shape, DTYPES[header.dtype], buffer=memory, order=header.order)


# ---- any value ----


@dataclass(frozen=True, slots=True)
class Packed:
    """A value that is ready to be sent; it still refers to the value's own memory, until it is written somewhere."""

    header: bytes
    size: int
    """Bytes of the body."""
    write_into: Callable[[memoryview], None]
    """Copies the body to the beginning of a writable buffer of bytes."""

    def to_bytes(self) -> bytes:
        """The body, for small ones."""
        body = bytearray(self.size)
        self.write_into(memoryview(body))
        return bytes(body)


def named(header: bytes, identity: str) -> bytes:
    """A header of `Packed` with an ``id``, of letters, digits and dashes."""
    return header[:-1] + b',"id":"' + identity.encode() + b'"}'


def pack(value: object, time: float) -> Packed:
    """An array, numpy scalar, bytes, text or JSON value as header and body; ``time`` is Unix seconds.

    Errors: `TypeError` for what cannot be sent, `ValueError` for values that the wire cannot say, each with what to do.
    """
    if isinstance(value, str):
        return _packed(StrHeader(time=time), _utf8(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _packed(BytesHeader(time=time), _flat(memoryview(value)))
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array cannot be sent, its mask would be lost: send .filled(), or data and mask as two arrays")
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return Packed(_encoder.encode(array_header(array, time)), array.nbytes, partial(copy_into, array))
    _check_json(value, MAX_DEPTH)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
    return _packed(JsonHeader(time=time), _utf8(text))


def unpack(header: ArrayHeader | BytesHeader | StrHeader | JsonHeader, body: Body) -> Any:
    """The value of a header and its body: an array is a `view`, anything else a copy. `InvalidValue` where they do not fit."""
    try:
        match header:
            case ArrayHeader():
                return view(header, body)
            case BytesHeader():
                return bytes(body)
            case StrHeader():
                return str(body, "utf-8")
            case JsonHeader():
                return _shallow(msgspec.json.decode(body))
            case _:
                assert_never(header)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidValue(f"not a {header.kind} value: {error}") from None


def _packed(header: Header, body: bytes | memoryview) -> Packed:
    def write_into(target: memoryview) -> None:
        target[: len(body)] = body

    return Packed(_encoder.encode(header), len(body), write_into)


def _flat(data: memoryview) -> bytes | memoryview:
    return data if data.format == "B" and data.ndim == 1 and data.contiguous else data.tobytes()


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ValueError(f"text with half a character ({half!a}, a lone surrogate) cannot be sent, UTF-8 has none") from None


def _check_json(value: object, depth: int) -> None:
    """Refuse what `json` would write but nobody reads as it was: nan, keys that are no strings, endless nesting."""
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"JSON has no {value}: send None, or the number in an array")
    elif depth == 0:
        raise ValueError(f"a value nested more than {MAX_DEPTH} deep, or in itself, cannot be sent")
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a dict with the key {key!r} cannot be sent: JSON's keys are strings, use str(key)")
            _check_json(item, depth - 1)
    else:
        raise TypeError(_advice(value, inside=depth < MAX_DEPTH))


def _advice(value: object, inside: bool) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, np.generic | np.ndarray):
        return f"{name} inside a list or dict cannot be sent: use .tolist(), or send it by itself"
    if not inside and hasattr(kind, "__array__"):
        return f"{name} cannot be sent: send np.asarray(value)"
    where = " inside a list or dict" if inside else ""
    return (
        f"{name} cannot be sent{where}: what can be are arrays, bytes, str, and JSON (None, bool, int, float, str, and lists "
        "and dicts of these)"
    )


def _shallow(value: Any) -> Any:
    """A JSON value of lists and dicts that are not too deep in each other. In levels: a recursion could overflow."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for outer in level for item in _items(outer) if isinstance(item, list | dict)]
        if not level:
            return value
    raise InvalidValue(f"a JSON value nested more than {MAX_DEPTH} deep")


def _items(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
