"""What of a room goes over data channels: channels, the shared mapping, what this participant says of them (engine process)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import cast

from .. import control
from ..arena import Extent
from ..arrays import MessageTooLarge
from ..control import Control
from ..errors import ChannelClosed, RTCError
from ..protocol import Channel, Limits, Participant, Welcome
from .announcing import Announcer
from .bodies import Bodies
from .channels import Channels
from .data.outlet import Body
from .data.replica import Change
from .datalink import DataLink, Port
from .overview import LABEL, Overview
from .shared_map import SharedMap

logger = logging.getLogger(__name__)


class RoomData:
    """``link_of`` gives the data channels of a participant, ``changed`` says that one may need a connection now."""

    def __init__(
        self,
        room: str,
        bodies: Bodies,
        post: Callable[[Control], None],
        announcer: Announcer,
        link_of: Callable[[str], DataLink],
        changed: Callable[[str], None],
        participants: Mapping[str, Participant],
    ) -> None:
        self._room = room
        self._bodies = bodies
        self._post = post
        self._participants = participants
        self._announcer = announcer
        self._link_of = link_of
        self._changed = changed
        self._channels = Channels(room, bodies, post, link_of, changed, self._sent)
        self._limits: Limits | None = None
        self._shared: SharedMap | None = None
        self._overview: Overview | None = None

    def welcomed(self, welcome: Welcome) -> None:
        self._limits = welcome.limits
        if self._shared is not None and self._overview is not None:
            self._shared.rename(welcome.participant.id)
            self._overview.rename(welcome.participant.id)
        else:
            self._shared = SharedMap(
                self._room,
                welcome.participant.id,
                welcome.limits.shared_bytes,
                self._bodies,
                self._post,
                self._link_of,
                self._changed,
                self._holds,
                self._written,
            )
            self._overview = Overview(welcome.participant.id, self._link_of, self._participants)
        for channel in self._announcer.welcomed(welcome.participant):
            self._forget_channel(channel.name)
            why = f"channel {channel.name!r} is open with other options by now; open it again with those"
            self._post(control.ChannelEnded(self._room, channel.name, why))

    def end(self) -> None:
        """The room is over; who waits for a send learns it."""
        self._channels.end()
        if self._shared is not None and self._overview is not None:
            self._shared.end()
            self._overview.end()

    def expect(self, participant_id: str, label: str) -> Port | None:
        """What a participant may open whenever it likes."""
        return self._overview.port(participant_id) if label == LABEL and self._overview is not None else None

    def refresh(self) -> None:
        """Records have changed."""
        self._channels.refresh(self._participants)
        if self._shared is not None:
            self._shared.refresh(self._participants)
        if self._overview is not None:
            self._overview.refresh()

    async def open_channel(self, options: Channel) -> None:
        """Errors as `Announcer.open`."""
        if options.name in self._announcer.channels:
            raise ChannelClosed(f"channel {options.name!r} is open already")
        assert self._limits is not None
        self._channels.open(options, self._limits.data_bytes)  # others may open its data channel before the server answers us
        try:
            await self._announcer.open(options)
        except BaseException:
            self._channels.close(options.name)
            raise
        self.refresh()

    def close_channel(self, name: str) -> None:
        self._announcer.close(name)
        self._forget_channel(name)

    def send(self, request: control.SendData) -> None:
        try:
            body = self._bodies.borrow(request.body, request.size)
            self._channels.send(request, self._bodies.view(body))
        except RTCError as error:
            self._post(control.Reply(request.req, error=error.code, message=str(error)))
        except MemoryError as error:
            self._post(control.Reply(request.req, error="memory", message=str(error)))

    def cancel(self, number: int) -> None:
        self._channels.cancel(number)

    async def open_shared(self, timeout: float) -> None:
        """Tell the kernel of the shared mapping; returns when it is complete, or after ``timeout`` seconds."""
        assert self._shared is not None
        await self._shared.open(self._participants, timeout)

    def set_shared(self, request: control.SetShared) -> None:
        assert self._shared is not None
        try:
            self._shared.write(request)
        except (MessageTooLarge, KeyError, ValueError, MemoryError) as error:
            names = {MessageTooLarge: "message-too-large", MemoryError: "memory"}
            code = names.get(type(error), type(error).__name__)
            self._post(control.Reply(request.req, error=code, message=str(error)))

    def seen_shared(self) -> None:
        if self._shared is not None:
            self._shared.seen()

    def _forget_channel(self, name: str) -> None:
        self._channels.close(name)
        if self._overview is not None:
            self._overview.closed(name)

    def _sent(self, request: control.SendData, body: Body) -> None:
        if self._overview is not None:
            # What goes to some only is for their eyes only.
            show = (lambda: body) if request.to is None else None
            self._overview.sent(request.channel, request.header, request.size, show)

    def _written(self, change: Change) -> None:
        if self._overview is None:
            return
        if change.header is None:
            self._overview.deleted(change.key)
        else:
            body = cast("Extent | bytes", change.body)
            self._overview.written(
                change.key, change.header, change.size, change.time, change.writer, lambda: self._bodies.view(body)
            )

    def _holds(self, holds: bool) -> None:
        if self._announcer.set_shared(holds):
            self.refresh()

    def taken(self, message: control.Taken) -> None:
        self._channels.taken(message)
