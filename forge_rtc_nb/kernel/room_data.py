"""What of a room goes from participant to participant as data: channels and the shared mapping (runs in the kernel)."""

from __future__ import annotations

import contextlib
import logging
import threading
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from .. import control, protocol
from ..control_stream import Message
from ..errors import ChannelClosed, ChannelOptions, InvalidMessage, RTCError
from ..protocol import MAX_CHANNELS
from ..records import options_in_words
from .arguments import whole
from .callbacks import Callbacks
from .channels import Channel, To
from .directory import Directory
from .engine_client import EngineClient
from .participants import Participant, participant_of
from .shared import SharedMapping

logger = logging.getLogger("forge_rtc_nb")

OPEN_TIMEOUT = 15.0


class RoomData:
    """The channels and the mapping of one `Room`, and what they need of it (`channels.ChannelHost`, `shared.SharedHost`).

    ``client_of`` raises where there is none.
    """

    def __init__(self, room_id: str, directory: Directory, callbacks: Callbacks, client_of: Callable[[], EngineClient]) -> None:
        self._id = room_id
        self._directory = directory
        self._callbacks = callbacks
        self._client_of = client_of
        self._channels: dict[str, Channel] = {}
        self._shared: SharedMapping | None = None
        self._opening = threading.Lock()
        self._turn = threading.Lock()

    @property
    def id(self) -> str:
        return self._id

    @property
    def client(self) -> EngineClient:
        return self._client_of()

    @property
    def data_limit(self) -> int:
        return self._directory.limits.data_bytes

    @property
    def shared_limit(self) -> int:
        return min(self._directory.limits.data_bytes, self._directory.limits.shared_bytes)

    @property
    def shared(self) -> SharedMapping:
        """The mapping; asked for when it is first used."""
        if self._shared is not None:
            return self._shared
        _ = self.client  # errors first: in a forked child the lock may be one that a lost thread holds
        with self._opening:
            if self._shared is None:
                self._shared = SharedMapping(self)
                try:
                    self._shared.open()
                except BaseException:
                    self._shared = None
                    raise
            return self._shared

    @property
    def channels(self) -> list[Channel]:
        return list(self._channels.values())

    def open(self, options: protocol.Channel) -> Channel:
        """The channel that is open already, or a new one."""
        client = self.client
        with self._turn:  # another thread must not get one that is not open yet
            return self._open(client, options)

    def _open(self, client: EngineClient, options: protocol.Channel) -> Channel:
        if (present := self._channels.get(options.name)) is not None:
            if present.wire != options:
                words = options_in_words(present.wire)
                raise ChannelOptions(f"you have channel {options.name!r} open with {words}: close() it first")
            return present
        if len(self._channels) >= MAX_CHANNELS:
            raise RTCError(f"a participant may have {MAX_CHANNELS} channels open: close() one first")
        channel = self._channels[options.name] = Channel(self, options)
        try:
            client.request(lambda req: control.OpenChannel(req, self._id, options), OPEN_TIMEOUT)
        except BaseException as error:
            channel.end(error if isinstance(error, RTCError) else ChannelClosed("opening it was interrupted"))
            self.closed(channel)
            raise
        return channel

    def on_data(self, message: control.Received | control.SharedChanged, body: bytes | memoryview) -> None:
        """A message of a channel, or a shared value, in the engine's reader thread."""
        if isinstance(message, control.SharedChanged):
            if self._shared is not None:
                self._shared.apply(message, body)
            return
        channel = self._channels.get(message.channel)
        sender = self._directory.find(message.sender)
        if channel is not None and sender is not None:
            channel.deliver(message, body, participant_of(sender))

    def on_engine(self, message: Message) -> None:
        """What else the engine says of data."""
        if isinstance(message, control.ChannelEnded):
            if (channel := self._channels.pop(message.channel, None)) is not None:
                error = ChannelOptions(message.message)
                channel.end(error)
                self.report(error)
        elif isinstance(message, control.DataFault):
            name = ", ".join(self.names([message.participant_id]))
            place = (
                f"channel {message.label[2:]!r}" if message.label.startswith("c/") else f"the data channel {message.label!r}"
            )
            text = f"what {name!r} sent on {place} cannot be used, and is dropped: {message.message}"
            logger.warning(text)
            self.report(RTCError(text))

    def end(self, over: RTCError, client: EngineClient | None) -> None:
        """The room is over for this handle; the engine may go on with it for the next one."""
        channels, self._channels = self.channels, {}
        for channel in channels:
            channel.end(over)
            _close(client, self._id, channel)
        if self._shared is not None:
            self._shared.end(over)

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel."""
        for channel in self._channels.values():
            channel.abandon(over)
        if self._shared is not None:
            self._shared.abandon(over)

    # What channels need (`channels.ChannelHost`).

    def receivers(self, name: str, to: To) -> list[str] | None:
        if to is None:
            return None
        several = to if isinstance(to, Iterable) and not isinstance(to, str) else [to]
        return [record.id for who in several for record in self._directory.named(who, name)]

    def with_channel(self, name: str) -> list[Participant]:
        return [participant_of(r) for r in self._directory.others() if any(c.name == name for c in r.channels)]

    def names(self, ids: list[str]) -> list[str]:
        names = {record.id: record.name for record in self._directory.everybody()}
        return [names.get(one, one) for one in ids]

    def run(self, work: Callable[[], None]) -> None:
        self._callbacks.run(work)

    def report(self, error: BaseException) -> None:
        self._callbacks.emit("error", error)

    def closed(self, channel: Channel) -> None:
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
            with contextlib.suppress(RTCError):
                _close(self.client, self._id, channel)


def _close(client: EngineClient | None, room: str, channel: Channel) -> None:
    if client is not None and client.alive:
        with contextlib.suppress(RTCError):
            client.send(control.CloseChannel(room, channel.name))


def options_of(name: object, *, ordered: Any, reliable: Any, maxsize: Any, maxbytes: Any, policy: Any) -> protocol.Channel:
    """The options as the wire has them. `ValueError` or `TypeError` for what cannot be."""
    if not isinstance(name, str):
        raise TypeError(f"a channel's name is text, not {name!r}")
    name = unicodedata.normalize("NFC", name)  # as keyboards differ in how they make an "é"
    try:
        protocol.check_channel_name(name)
    except InvalidMessage as error:
        raise ValueError(str(error)) from None
    if policy not in ("block", "drop_oldest"):
        raise ValueError(f"policy is 'block' or 'drop_oldest', not {policy!r}")
    return protocol.Channel(
        name=name,
        ordered=bool(ordered),
        reliable=bool(reliable),
        maxsize=whole("maxsize", maxsize, 1, 65536, "messages"),
        maxbytes=whole("maxbytes", maxbytes, 1, 2**40),
        policy=policy,
    )
