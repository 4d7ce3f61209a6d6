"""The data channels of two associations in virtual time: no socket, no DTLS, a network as a test wants it (test process)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters

from forge_rtc_nb.engine.aiortc_compat.sctp_channels import Channels
from forge_rtc_nb.engine.datachannel.events import Established, Message, PeerReset, ResetDone
from tests.unit.sctp_network import End, Network


class ChannelEnd:
    """In the place of a transport, as `RTCDataChannel` uses it; ``even`` as for `Channels.established`."""

    def __init__(self, end: End, *, even: bool) -> None:
        self.end = end
        self.even = even
        self.offered: list[RTCDataChannel] = []
        self.heard: list[tuple[int, Any]] = []
        """Stream and message, of channels that were offered."""
        self.told: list[str] = []
        """Of channels that were offered: the state at that time, and that they are open."""
        self.channels = Channels(self, self._take, lambda: None)
        self._seen = 0

    def create(self, label: str = "new", **options: Any) -> RTCDataChannel:
        return RTCDataChannel(self, RTCDataChannelParameters(label=label, **options))  # type: ignore[arg-type]

    def tell(self) -> bool:
        """Hands over what the association has told since; whether that was anything."""
        fresh = self.end.events[self._seen :]
        self._seen += len(fresh)
        for event in fresh:
            if isinstance(event, Established):
                self.channels.established(self.end.association, self.even)
            elif isinstance(event, Message):
                self.channels.message(event.stream, event.ppid, event.data)
            elif isinstance(event, PeerReset):
                self.channels.peer_reset(event.streams)
            elif isinstance(event, ResetDone):
                self.channels.reset_done(event.streams, event.performed)
        self.channels.tell_buffered()
        return bool(fresh)

    def _take(self, channel: RTCDataChannel) -> None:
        self.offered.append(channel)
        self.told.append(f"offered {channel.readyState}")
        channel.on("message", lambda data: self.heard.append((channel.id or 0, data)))
        channel.on("open", lambda: self.told.append("open"))

    def _data_channel_open(self, channel: RTCDataChannel) -> None:
        self.channels.open(channel)

    def _data_channel_add_negotiated(self, channel: RTCDataChannel) -> None:
        self.channels.add_negotiated(channel)

    def _data_channel_close(self, channel: RTCDataChannel) -> None:
        self.channels.close(channel)

    def _data_channel_send(self, channel: RTCDataChannel, data: str | bytes) -> None:
        self.channels.send(channel, data, 0)


class Both:
    """The client has even streams."""

    def __init__(self, **options: Any) -> None:
        self.network = Network(**options)
        self.client = ChannelEnd(self.network.client, even=True)
        self.server = ChannelEnd(self.network.server, even=False)

    def connect(self) -> Both:
        self.network.client.association.connect(self.network.now)
        self.until(lambda: len(self.network.client.events) > 0 and len(self.network.server.events) > 0)
        return self

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        """Fails where it does not come true."""
        self.settle(done, seconds)
        assert done()

    def settle(self, done: Callable[[], bool] = lambda: False, seconds: float = 10.0) -> None:
        """Until it is done or the time is over."""

        def step() -> bool:
            while self.client.tell() | self.server.tell():
                self.network.flush(self.network.client)
                self.network.flush(self.network.server)
            return done()

        self.network.run(step, seconds)
