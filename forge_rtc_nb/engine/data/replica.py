"""One participant's copy of the room's shared mapping, and what it tells and asks the others; pure (engine process).

`docs/protocol.md`, The shared mapping. A replica never sends by itself: the engine calls `Replica.next_message` whenever
nothing waits on a peer's data channel, so a slow peer makes nothing pile up; what has changed meanwhile is told as it is then.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...arrays import MessageTooLarge, parse_header
from ...arrays import check as check_value
from ...frames import MAX_SIZE
from .budget import Budget
from .replica_peer import MAX_ASKED, Body, Held, Peer
from .replica_wire import (
    MAX_KEY,
    MAX_KEYS,
    Entry,
    Gone,
    Have,
    Message,
    Value,
    Version,
    Want,
    decode,
    encode,
    first_that_fit,
)

MAX_AHEAD = 2**40
"""How far the clock of others may be ahead: nobody has written so often, and one who says so must not use the clock up."""

Outgoing = tuple[bytes, Body]
"""Header and body of a message."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the mapping shows of a key now."""

    key: str
    header: bytes | None
    """Header of the value; None: the key was deleted."""
    size: int
    """Bytes of the body."""
    body: Body
    writer: str
    time: float
    """The writer's clock, Unix seconds."""


class Replica:
    """After each call that changes anything `next_message` may have something for every peer, not only for the one concerned.

    ``limit`` is how many bytes all values together may have. ``changed`` is called with every change that shows, those written
    here too, in the order in which they happen; it must not call the replica.
    """

    def __init__(self, me: str, limit: int, changed: Callable[[Change], None]) -> None:
        self.me = me
        """The writer of what is written here."""
        self._limit = limit
        self._changed = changed
        self._clock = 0
        """The highest one that was seen."""
        self._held: dict[str, Held] = {}
        """What is here: values with their bodies, and deleted keys."""
        self._deleted: list[tuple[Version, str]] = []
        """Deleted keys, oldest first."""
        self._peers: dict[str, Peer] = {}
        self._budget = Budget(MAX_KEYS, limit)
        self._left_out: dict[str, None] = {}

    # ---- what the participant sees and does ----

    @property
    def holds(self) -> bool:
        """Whether there is anything that others may lack, deleted keys too: the participant's ``shared``."""
        return bool(self._held)

    @property
    def left_out(self) -> frozenset[str]:
        """Keys whose newest values are not fetched, because the mapping would exceed its limits."""
        return frozenset(self._left_out)

    def entries(self) -> Iterator[Change]:
        """What the mapping shows now."""
        return (_change(held) for held in self._held.values() if not held.deleted)

    def write(self, key: str, header: bytes, size: int, body: Body, time: float) -> None:
        """Set a value, whose body is kept by reference.

        Errors: `MessageTooLarge` where the values would exceed the limit; `ValueError` for keys that cannot be, or too many.
        """
        _check_key(key)
        value = parse_header(header)
        check_value(value, size, self._limit)
        if not self._budget.has_room_for(key):
            raise ValueError(f"the shared mapping may have {MAX_KEYS} keys: delete one first")
        if not self._budget.fits(key, size):
            total = self._budget.total_with(key, size)
            raise MessageTooLarge(
                f"the shared values may have {self._limit} bytes together, with this one they would have {total}"
            )
        entry = Entry(key=key, clock=self._next_clock(), writer=self.me, time=time, value=value, size=size)
        self._take(Held(entry, body))

    def delete(self, key: str, time: float) -> None:
        """`KeyError` where there is no such key."""
        if key not in self._held or self._held[key].deleted:
            raise KeyError(key)
        self._take(Held(Entry(key=key, clock=self._next_clock(), writer=self.me, time=time), b""))

    # ---- peers ----

    def connect(self, peer: str) -> None:
        """A data channel to this peer is open, a new one: nothing that was under way on another one counts any more."""
        self.disconnect(peer)
        self._peers[peer] = Peer(dirty=dict.fromkeys(self._held))

    def disconnect(self, peer: str) -> None:
        """It is gone, or its data channel: what was asked of it is asked of another one that has it."""
        gone = self._peers.pop(peer, None)
        if gone is not None:
            for key in {**gone.has, **gone.asked}:
                self._consider(key)

    def synced(self, peers: Iterable[str]) -> bool:
        """Whether each of these peers has told all that it had when it connected, and that is here or given up."""
        return all(
            (of := self._peers.get(peer)) is not None and of.listed and of.awaited <= self._left_out.keys() for peer in peers
        )

    # ---- what comes ----

    def check(self, peer: str, header: bytes, size: int) -> bool:
        """A message of that peer begins; all before it were given to `receive`. `ValueError` says why it must not be.

        False: nobody needs its body any more, so it may be dropped as it comes, and `receive` gets ``b""`` instead.
        """
        message = decode(header)
        sender = self._sender(peer)
        self._check(sender, message, size)
        return not isinstance(message, Value) or self._is_useful(sender.asked[message.key])

    def receive(self, peer: str, header: bytes, size: int, body: Body) -> None:
        """A whole message is here. `ValueError` as in `check`."""
        message = decode(header)
        sender = self._sender(peer)
        self._check(sender, message, size)
        match message:
            case Have():
                for entry in message.entries:
                    self._hear(peer, sender, entry)
                if message.last:
                    sender.has_listed_all()
            case Want():
                sender.requests[message.key] = message.version
            case Value():
                self._receive_value(sender, message.key, body)
            case Gone():
                del sender.asked[message.key]
                sender.forget(message.key)
                self._consider(message.key)

    def _sender(self, peer: str) -> Peer:
        if peer not in self._peers:
            raise ValueError("it is not connected")
        return self._peers[peer]

    def _check(self, sender: Peer, message: Message, size: int) -> None:
        if isinstance(message, Value):
            asked = sender.asked.get(message.key)
            if asked is None or (asked.version, asked.value, asked.size) != (message.version, message.value, size):
                raise ValueError(f"a value of {size} bytes that was not asked for, or is not as it was announced")
        elif size:
            raise ValueError(f"only values have bodies, this message has one of {size} bytes")
        match message:
            case Have():
                for entry in message.entries:
                    _check_entry(entry, self._limit, self._clock)
                if not sender.could_have(message):
                    raise ValueError(f"it announces more values than the {MAX_KEYS} that there can be")
            case Want(key=key) if key in sender.requests or len(sender.requests) >= MAX_ASKED:
                raise ValueError(f"it asks for too much at a time: {MAX_ASKED} values at most, each once")
            case Gone(key=key) if key not in sender.asked:
                raise ValueError("it has not got a value that it was not asked for")

    def _hear(self, peer: str, sender: Peer, entry: Entry) -> None:
        """A peer has this entry."""
        key = entry.key
        self._clock = max(self._clock, entry.clock)
        is_new = self._is_new(entry)
        if entry.value is None:
            sender.forget(key)
            if is_new:
                self._take(Held(entry, b""), source=peer)
        else:
            if key in sender.asked:
                sender.asked[key] = entry
            if is_new:
                sender.has[key] = entry
            else:
                sender.forget(key)
        self._consider(key)

    def _receive_value(self, sender: Peer, key: str, body: Body) -> None:
        entry = sender.asked.pop(key)
        if self._is_useful(entry):
            self._take(Held(entry, body))
        else:
            self._consider(key)

    def _is_useful(self, entry: Entry) -> bool:
        return self._is_new(entry) and self._budget.fits(entry.key, entry.bytes)

    def _is_new(self, entry: Entry) -> bool:
        held = self._held.get(entry.key)
        return held is None or held.version < entry.version

    # ---- what is here ----

    def _take(self, held: Held, source: str = "") -> None:
        """This is the newest of its key that is here; ``source`` is who sent it, where that does not show otherwise."""
        key = held.entry.key
        before = self._held.get(key)
        self._clock = max(self._clock, held.entry.clock)
        self._held[key] = held
        for name, peer in self._peers.items():
            known = peer.has.get(key)
            if name == source or (known is not None and known.version >= held.version):
                peer.dirty.pop(key, None)
            else:
                peer.dirty[key] = None
            if known is not None and known.version <= held.version:
                peer.forget(key)
        self._note_deleted(before, held)
        self._consider(key)
        if not held.deleted or (before is not None and not before.deleted):
            self._changed(_change(held))

    def _note_deleted(self, before: Held | None, now: Held) -> None:
        """Keep the deleted keys in order, and only the newest: or else replicas could tell each other of old ones for ever."""
        if before is not None and before.deleted:
            del self._deleted[bisect_left(self._deleted, (before.version, before.entry.key))]
        if now.deleted:
            insort(self._deleted, (now.version, now.entry.key))
        if len(self._deleted) > MAX_KEYS:
            _, oldest = self._deleted.pop(0)
            del self._held[oldest]
            for peer in self._peers.values():
                peer.dirty.pop(oldest, None)

    def _next_clock(self) -> int:
        if self._clock >= MAX_SIZE:
            raise ValueError(
                "somebody has used up the clock of this shared mapping: nothing can be written in this room any more"
            )
        return self._clock + 1

    # ---- what is lacking ----

    def _consider(self, key: str) -> None:
        """Whatever is known of this key may have changed: see whether something is to be asked for."""
        self._left_out.pop(key, None)
        newest = self._newest(key)
        for peer in self._peers.values():
            if key in peer.has and peer.has[key].version == newest:
                peer.askable[key] = None
        self._weigh(key)

    def _newest(self, key: str) -> Version | None:
        """Of what others have of this key and is not here."""
        return max((peer.has[key].version for peer in self._peers.values() if key in peer.has), default=None)

    def _is_under_way(self, key: str, version: Version) -> bool:
        return any(key in peer.asked and peer.asked[key].version == version for peer in self._peers.values())

    def _weigh(self, key: str) -> None:
        """The room for what is under way is kept for it."""
        held = self._held.get(key)
        sizes = [] if held is None or held.deleted else [held.entry.bytes]
        asked = (peer.asked[key] for peer in self._peers.values() if key in peer.asked)
        sizes += [entry.bytes for entry in asked if self._is_new(entry)]
        self._budget.set(key, max(sizes, default=None))

    # ---- what goes out ----

    def next_message(self, peer: str) -> Outgoing | None:
        """What to send to that peer now; None: nothing at the moment. Whoever takes a message sends it."""
        to = self._peers.get(peer)
        if to is None:
            return None
        if to.pinned is not None:
            held, to.pinned = to.pinned, None
            return _value(held)
        # In turns, so that one who writes or asks all the time leaves room for the rest.
        ways = (self._next_have, self._next_want, self._next_answer)
        for _ in ways:
            to.turn = (to.turn + 1) % len(ways)
            if (message := ways[to.turn](to)) is not None:
                return message
        return None

    def _next_have(self, to: Peer) -> Outgoing | None:
        if to.told_all and not to.dirty:
            return None
        entries = first_that_fit(self._held[key].entry for key in to.dirty)
        for entry in entries:
            del to.dirty[entry.key]
        last = not to.told_all and not to.dirty
        to.told_all = to.told_all or last
        return encode(Have(entries=entries, last=last)), b""

    def _next_want(self, to: Peer) -> Outgoing | None:
        self._look_for_room()
        while to.askable and len(to.asked) < MAX_ASKED:
            key = next(iter(to.askable))
            del to.askable[key]
            entry = to.has.get(key)
            if entry is None or entry.version != self._newest(key) or self._is_under_way(key, entry.version):
                continue
            if not self._is_useful(entry):
                self._left_out[key] = None
                continue
            to.asked[key] = entry
            self._weigh(key)
            return encode(Want(key=key, clock=entry.clock, writer=entry.writer)), b""
        return None

    def _look_for_room(self) -> None:
        """What was left out may fit now."""
        if self._budget.freed:
            self._budget.freed = False
            for key in list(self._left_out):
                self._consider(key)

    def _next_answer(self, to: Peer) -> Outgoing | None:
        if not to.requests:
            return None
        key = next(iter(to.requests))
        version = to.requests.pop(key)
        held = self._held.get(key)
        if held is None or held.deleted:
            return encode(Gone(key=key, clock=version[0], writer=version[1])), b""
        if held.version == version:
            return _value(held)
        # It has been written again. The new value is announced and then sent for sure: whoever only announces what is written
        # all the time never sends any of it.
        to.pinned = held
        to.dirty.pop(key, None)
        return encode(Have(entries=[held.entry])), b""


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= MAX_KEY:
        raise ValueError(f"a key of the shared mapping has 1 to {MAX_KEY} characters, this one has {len(key)}")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key!a} has half a character (a lone surrogate) and cannot be a key") from None


def _check_entry(entry: Entry, limit: int, clock: int) -> None:
    if entry.clock > clock + MAX_AHEAD:
        raise ValueError(f"the clock {entry.clock} is too far ahead of {clock}")
    if (entry.value is None) != (entry.size is None):
        raise ValueError("an entry has a value and a size, or neither where its key was deleted")
    if entry.value is not None and entry.size is not None:
        check_value(entry.value, entry.size, limit)


def _change(held: Held) -> Change:
    entry = held.entry
    header = None if entry.value is None else encode(entry.value)
    return Change(entry.key, header, entry.bytes, held.body, entry.writer, entry.time)


def _value(held: Held) -> Outgoing:
    entry = held.entry
    assert entry.value is not None
    return encode(Value(key=entry.key, clock=entry.clock, writer=entry.writer, value=entry.value)), held.body
