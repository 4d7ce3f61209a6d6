"""Looks through Arrow tables of others before Arrow and pandas make anything of them. Runs in the kernel process; no I/O.

Arrow's own checks see to it that a stream is sound. These refuse what is sound and harmful all the same: types of other
libraries, which interpret a stream as they like, and a few bytes that would become gigabytes of memory.
"""

from __future__ import annotations

import struct
from typing import Any

from ..arrays import InvalidValue

EXTENSION = b"ARROW:extension:"
"""What the keys of an extension type's metadata begin with."""
MAX_MESSAGES = 65536
MAX_SCHEMA = 16 * 1024 * 1024
"""Bytes of a schema with all its metadata."""
SPARE_OBJECTS = 2**18
"""Lists and dicts that pandas may make of any frame, however few bytes it has."""
SPARE_CELLS = 2**22
"""Cells without a value, likewise; each is a pointer."""


def check_schema(data: memoryview) -> None:
    """``data`` is a schema as a message, before anybody has read it."""
    if len(data) > MAX_SCHEMA:
        raise InvalidValue(f"a schema may have {MAX_SCHEMA} bytes, this one has {len(data)}")
    if EXTENSION in bytes(data):
        raise InvalidValue("it has an extension type: cast that column to its storage type, or leave it out")


def check_count(messages: int) -> None:
    if messages > MAX_MESSAGES:
        raise InvalidValue(f"it has more than {MAX_MESSAGES} batches: .combine_chunks() joins them")


def check_messages(pyarrow: Any, stream: Any) -> None:
    """See what the messages of a stream are; ``stream`` is a pyarrow buffer. Nothing of them is interpreted."""
    messages = pyarrow.ipc.MessageReader.open_stream(stream)
    first = next(iter(messages), None)
    if first is None or first.type != "schema":
        raise InvalidValue("a table begins with a schema, this one does not")
    check_schema(memoryview(first.metadata))
    for count, message in enumerate(messages, start=2):
        check_count(count)
        if _is_compressed(memoryview(message.metadata), message.type):
            raise InvalidValue("it is compressed: nobody knows how large it is")


def _is_compressed(data: memoryview, kind: str) -> bool:
    """Arrow has verified this flatbuffer; its tables are those of Arrow's Message.fbs."""
    message = _at(data, 0)
    batch = _field(data, message, 2)
    if batch is not None and kind == "dictionary":
        batch = _field(data, _at(data, batch), 1)
    return batch is not None and _field(data, _at(data, batch), 3) is not None


def _field(data: memoryview, table: int, index: int) -> int | None:
    """Where a field of a flatbuffer's table is."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", data, vtable)
    if 4 + 2 * index >= size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * index)
    return table + offset if offset else None


def _at(data: memoryview, reference: int) -> int:
    (offset,) = struct.unpack_from("<I", data, reference)
    return reference + int(offset)


# ---- what pandas would make of it ----


def check_frame(pyarrow: Any, table: Any, size: int) -> None:
    """See whether a valid table of ``size`` bytes is one that pandas needs not much more memory for."""
    types = pyarrow.types
    for field in table.schema:
        if not (types.is_null(field.type) or _is_plain(types, _values_of(types, field.type))):
            raise InvalidValue(f"pandas has nothing for the type {field.type} of column {field.name!r}: cast or drop it")
    nulls = sum(types.is_null(field.type) for field in table.schema)
    if nulls * table.num_rows > size + SPARE_CELLS:
        raise InvalidValue("it has next to nothing but columns without any value: drop those")
    objects = sum(_containers(types, chunk) for column in table.columns for chunk in column.chunks)
    if objects > size // 4 + SPARE_OBJECTS:
        raise InvalidValue(f"it has {objects} lists or dicts of next to nothing: give their values columns of their own")


def _values_of(types: Any, kind: Any) -> Any:
    """Categories are shared by all rows of a column; anywhere deeper they would be copied for each."""
    return kind.value_type if types.is_dictionary(kind) and not _is_container(types, kind.value_type) else kind


def _is_plain(types: Any, kind: Any) -> bool:
    """Whether each value has bytes of its own, or those inside it have: no views, no runs, nothing that takes no bytes."""
    if types.is_fixed_size_binary(kind):
        return bool(kind.byte_width > 0)
    if _is_container(types, kind):
        return all(_is_plain(types, kind.field(index).type) for index in range(kind.num_fields))
    leaves = (
        types.is_primitive,
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        types.is_decimal,
    )
    return any(is_leaf(kind) for is_leaf in leaves)


def _is_container(types: Any, kind: Any) -> bool:
    # Not `is_nested`: in some versions it knows no lists of fixed size.
    containers = (types.is_struct, types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map)
    return any(is_container(kind) for is_container in containers)


def _containers(types: Any, array: Any) -> int:
    """How many lists, dicts and pairs are in an array, at any depth."""
    if not _is_container(types, array.type):
        return 0
    if types.is_map(array.type):
        pairs = len(array.keys)
        return len(array) + pairs + _containers(types, array.keys) + _containers(types, array.items)
    inside = array.flatten() if types.is_struct(array.type) else [array.flatten()]
    return len(array) + sum(_containers(types, inner) for inner in inside)
