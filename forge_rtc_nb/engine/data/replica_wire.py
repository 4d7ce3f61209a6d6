"""What replicas of the shared mapping say to each other, as JSON headers and back; pure (engine process).

`docs/protocol.md`, The shared mapping, describes these messages in words. Only a `Value` has a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from ...arrays import ValueHeader
from ...frames import MAX_HEADER, MAX_SIZE
from ...protocol import Id

MAX_KEYS = 4096
"""Keys with values in one mapping; as many deleted ones are remembered."""
MAX_KEY = 256
"""Characters of a key."""

Version = tuple[int, str]
"""Clock and writer: of two entries of one key the higher one wins."""

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY)]
Clock = Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]
Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one key: who wrote or deleted it, and what its value is."""

    key: Key
    clock: Clock
    writer: Id
    time: float
    """The writer's clock, Unix seconds."""
    value: ValueHeader | None = None
    """None where the key was deleted."""
    size: Size | None = None
    """Bytes of the body; None where the key was deleted."""

    @property
    def version(self) -> Version:
        return self.clock, self.writer

    @property
    def bytes(self) -> int:
        return self.size or 0


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of what goes over the data channel ``shared``."""


class Have(Message, frozen=True, tag="have"):
    """What the sender has, or what is new there."""

    entries: list[Entry]
    last: bool = False
    """The sender has now told everything that it had when the data channel opened."""


class Versioned(Message, frozen=True):
    key: Key
    clock: Clock
    writer: Id

    @property
    def version(self) -> Version:
        return self.clock, self.writer


class Want(Versioned, frozen=True, tag="want"):
    """Send me this value, or a newer one of its key."""


class Value(Versioned, frozen=True, tag="value"):
    """Answers a `Want`; its body is the value's."""

    value: ValueHeader


class Gone(Versioned, frozen=True, tag="gone"):
    """Answers a `Want`: there is no value of this key any more."""


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Have | Want | Value | Gone] = msgspec.json.Decoder(Have | Want | Value | Gone)
encode = _encoder.encode


def decode(header: bytes) -> Have | Want | Value | Gone:
    """Read and validate one message; unknown fields are ignored. `ValueError` for anything else."""
    if len(header) > MAX_HEADER:
        raise ValueError(f"a header may have {MAX_HEADER} bytes, this one has {len(header)}")
    try:
        return _decoder.decode(str(header, "utf-8"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not a message of the shared mapping: {error}") from None


def first_that_fit(entries: Iterable[Entry]) -> list[Entry]:
    """As many of the first entries as one `Have` can hold; one always fits."""
    room = MAX_HEADER - len(encode(Have(entries=[], last=True)))
    fitting = []
    for entry in entries:
        room -= len(encode(entry)) + 1
        if room < 0:
            break
        fitting.append(entry)
    return fitting
