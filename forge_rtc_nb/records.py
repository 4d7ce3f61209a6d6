"""What a participant's record becomes by its hello and its updates; pure, in the process that hosts the rooms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from . import protocol
from .errors import ChannelOptions, InvalidMessage
from .protocol import Channel, Participant, Stream, Updated


@dataclass(frozen=True, slots=True)
class Entry:
    """Who wants to come in, as the credentials and the hello say."""

    participant_id: str
    kind: protocol.Kind
    user: str
    name: str
    owners: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    channels: tuple[Channel, ...] = ()
    shared: bool = False
    may_create: bool = False
    """May open the room when it does not exist."""


def entered(entry: Entry, name: str, now: float, others: Iterable[Participant]) -> Participant:
    """The record of somebody new, under a name that is free; ``now`` in Unix seconds."""
    return Participant(
        id=entry.participant_id,
        name=name,
        kind=entry.kind,
        user=entry.user,
        owners=list(entry.owners),
        joined_at=now,
        streams=_stamped(entry.streams, (), now),
        channels=_agreeing(entry.channels, others),
        shared=entry.shared,
    )


def returned(old: Participant, entry: Entry, now: float, others: Iterable[Participant]) -> Participant:
    """The record of somebody who comes back: what they say now replaces what was known."""
    return msgspec.structs.replace(
        old,
        state="connected",
        owners=list(entry.owners),
        streams=_stamped(entry.streams, old.streams, now),
        channels=_agreeing(entry.channels, others),
        shared=entry.shared,
    )


def updated(old: Participant, said: Updated, now: float, others: Iterable[Participant]) -> Participant:
    """The record after an update. Errors, which leave it as it was: `InvalidMessage`, `ChannelOptions`."""
    changes: dict[str, object] = {}
    if said.streams is not None:
        check_streams(said.streams)
        changes["streams"] = _stamped(said.streams, old.streams, now)
    if said.channels is not None:
        _check_options(said.channels, others)
        changes["channels"] = said.channels
    if said.owners is not None:
        changes["owners"] = said.owners
    if said.shared is not None:
        changes["shared"] = said.shared
    return msgspec.structs.replace(old, **changes)


def check_streams(streams: Iterable[Stream]) -> None:
    """Refuse a list in which two streams have one id."""
    ids = [stream.id for stream in streams]
    if len(ids) != len(set(ids)):
        raise InvalidMessage("two streams of one participant have the same id")


def clean_stream(stream: Stream) -> Stream:
    """The stream under a name that can be shown."""
    return msgspec.structs.replace(stream, name=protocol.clean_name(stream.name, stream.source))


def _stamped(streams: Iterable[Stream], known: Iterable[Stream], now: float) -> list[Stream]:
    started = {stream.id: stream.started for stream in known}
    return [msgspec.structs.replace(clean_stream(stream), mid=None, started=started.get(stream.id, now)) for stream in streams]


def _in_force(others: Iterable[Participant]) -> dict[str, Channel]:
    return {channel.name: channel for other in others for channel in other.channels}


def _agreeing(channels: Iterable[Channel], others: Iterable[Participant]) -> list[Channel]:
    """Those that nobody has open with other options: a hello is not refused for the rest, which it could not take back."""
    in_force = _in_force(others)
    return [channel for channel in channels if in_force.get(channel.name, channel) == channel]


def _check_options(channels: Iterable[Channel], others: Iterable[Participant]) -> None:
    in_force = _in_force(others)
    for channel in channels:
        theirs = in_force.get(channel.name, channel)
        if theirs != channel:
            words = options_in_words(theirs)
            raise ChannelOptions(
                f"channel {channel.name!r} is open with {words}: open it with these options, or choose another name"
            )


def options_in_words(channel: Channel) -> str:
    """As one would write them in a call."""
    values = msgspec.structs.asdict(channel)
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if name != "name")
