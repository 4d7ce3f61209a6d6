"""A channel as the notebook's user holds it: values out to all who have it open, values in (runs in the kernel)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from .. import control, protocol
from ..arrays import InvalidValue
from ..control import Body
from ..errors import ChannelClosed, EngineDied, NotInRoom, RTCError, SendTimeout
from .arrivals import Arrivals, Arrived
from .host import Host
from .outgoing import Posted, Send, post
from .participants import Participant
from .progress import Progress
from .reading import Deadline
from .values import pack, unpack

logger = logging.getLogger("forge_rtc_nb")

To = str | Participant | Iterable[str | Participant] | None
Handler = Callable[[Any, Participant], Any]

AT_ONCE = 16
"""Messages that are handled before other callbacks have their turn."""


@dataclass(frozen=True)
class Message:
    """One message of a channel, as `Channel.receive` gives it."""

    value: Any
    sender: Participant
    """Who sent it, as they were when it arrived."""
    time: float
    """The sender's clock at ``send``, Unix seconds."""


class ChannelHost(Host, Protocol):
    """What a channel needs of its room."""

    @property
    def data_limit(self) -> int:
        """Bytes that a message may have."""

    def receivers(self, name: str, to: To) -> list[str] | None:
        """The ids of those who are meant, None for all. Errors: `PeerNotFound`."""

    def with_channel(self, name: str) -> list[Participant]: ...

    def closed(self, channel: Channel) -> None: ...


class Channel:
    """Values to and from all who have opened a channel of this name; made by `Room.channel`.

    What can be sent: numpy arrays and scalars of bool, integer, float and complex dtypes (any layout; equal in dtype, shape
    and elements on arrival, and read-only), bytes, str, JSON values (None, bool, int, float, str, lists and dicts of these),
    with the extras ``pandas`` and ``arrow`` DataFrames and Tables. Messages of one sender arrive in the order in which they
    were sent; who opens the channel later gets none of those before. An array that arrived is a view of memory that this
    process shares with its engine: give child processes (`os.fork`, multiprocessing) a ``.copy()``.

    >>> ch = room.channel("spectra")
    >>> ch.send(np.fft.rfft(signal))            # to everybody who has it open
    >>> x = ch.recv()                           # the next value that somebody sent
    >>> for x in ch: ...                        # each value, until the room is left
    >>> @ch.on_message
    ... def show(value, sender): print(sender.name, value)
    """

    def __init__(self, host: ChannelHost, options: protocol.Channel) -> None:
        self._host = host
        self._options = options
        self._handlers: list[Handler] = []
        self._handling = False
        drops = options.policy == "drop_oldest" or not options.reliable
        keep = (options.maxsize, options.maxbytes) if drops else None
        self._arrivals = Arrivals(self._taken, keep, latest=not options.reliable)

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def options(self) -> dict[str, Any]:
        """``ordered``, ``reliable``, ``maxsize``, ``maxbytes``, ``policy``, as `Room.channel` describes them."""
        return {field: value for field, value in msgspec.structs.asdict(self._options).items() if field != "name"}

    @property
    def participants(self) -> list[Participant]:
        """The others who have it open now: who a `send` goes to."""
        return self._host.with_channel(self.name)

    def send(self, value: Any, to: To = None, timeout: float | None = 30.0, progress: bool | None = None) -> None:
        """Send a value to everybody who has the channel open, or to those named in ``to`` (ids, names, users, participants).

        The value is copied before anything else happens; `send` returns when the queue of every receiver has taken it, or at
        once where the channel drops old messages. ``timeout`` in seconds; None waits for ever. ``progress`` shows a bar: True
        from the beginning, None after 2 s, False never. An interrupt or a timeout stops the message: who does not have it by
        then does not get it.

        Errors: `TypeError` and `ValueError` (what cannot be sent), `MessageTooLarge`, `SendTimeout` (it names the slow ones;
        the others have it), `PeerNotFound`, `ChannelClosed`, `NotInRoom`, `MemoryError`.
        """
        with self._sending(value, to) as send:
            self._watch(send, timeout, progress)

    async def asend(self, value: Any, to: To = None, timeout: float | None = 30.0) -> None:
        """`send` for coroutines; the value is copied before it first waits."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        with self._sending(value, to) as send:
            send.then(wake)
            try:
                await asyncio.wait_for(done.wait(), timeout)
                send.result()
            except TimeoutError:
                self._slow(await asyncio.to_thread(send.cancel), timeout)

    def recv(self, timeout: float | None = 10.0) -> Any:
        """The next value that arrives; `receive` also tells who sent it. `RTCTimeout` after ``timeout`` seconds."""
        return self.receive(timeout).value

    def receive(self, timeout: float | None = 10.0) -> Message:
        """The next `Message`. Errors: `RTCTimeout`, `ChannelClosed`, `NotInRoom`, `EngineDied`."""
        self._check_readable()
        deadline = Deadline(timeout)
        while (message := self._opened(self._arrivals.take(deadline))) is None:
            pass
        return message

    async def arecv(self, timeout: float | None = 10.0) -> Any:
        """`recv` for coroutines."""
        return (await self.areceive(timeout)).value

    async def areceive(self, timeout: float | None = 10.0) -> Message:
        """`receive` for coroutines."""
        self._check_readable()
        deadline = Deadline(timeout)
        while (message := self._opened(await self._arrivals.atake(deadline))) is None:
            pass
        return message

    def __iter__(self) -> Channel:
        return self

    def __next__(self) -> Any:
        try:
            return self.recv(None)
        except (ChannelClosed, NotInRoom):
            raise StopIteration from None

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.arecv(None)
        except (ChannelClosed, NotInRoom):
            raise StopAsyncIteration from None

    def on_message(self, function: Handler) -> Handler:
        """Call ``function(value, sender)`` for each message, in the room's one thread for callbacks; also a decorator.

        Several may be set. With one, messages go there and nowhere else: `recv` raises.
        """
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        if self._arrivals.over is not None:
            raise self._arrivals.over.again()
        self._handlers.append(function)
        if len(self._handlers) == 1:
            self._arrivals.listen(self._handle_soon)
        self._handle_soon()
        return function

    def close(self) -> None:
        """Close it here: nothing more comes, and what was not read is gone. Others go on with it. Idempotent."""
        if self._arrivals.over is None:
            self.end(ChannelClosed(f"channel {self.name!r} was closed; open it again with room.channel({self.name!r})"))
            self._host.closed(self)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self._arrivals.over is None else "closed"
        return f"<Channel {self.name!r} in room {self._host.id!r}: {state}>"

    # What follows is for the room.

    def deliver(self, message: control.Received, body: bytes | memoryview, sender: Participant) -> None:
        """A message of the engine, in its reader thread."""
        self._arrivals.put(Arrived(sender, message.header, message.size, body))

    def end(self, over: RTCError) -> None:
        """Nothing will come any more."""
        self._arrivals.end(over)

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel."""
        self._arrivals.abandon(over)

    @property
    def wire(self) -> protocol.Channel:
        """The channel as the record has it."""
        return self._options

    @contextlib.contextmanager
    def _sending(self, value: Any, to: To) -> Iterator[Send]:
        """A message under way, which stops where the block raises. Where the end of the channel, or of the room, is why the
        engine does not answer, that is raised."""
        try:
            send = self._start(value, to)
            try:
                yield send
            except BaseException:
                send.abandon()
                raise
            finally:
                send.close()
        except (ChannelClosed, EngineDied) as error:
            raise (self._arrivals.over or error).again() from None

    def _start(self, value: Any, to: To) -> Send:
        if self._arrivals.over is not None:
            raise self._arrivals.over.again()
        client = self._host.client
        receivers = self._host.receivers(self.name, to)
        posted = post(client, pack(value), self._host.data_limit)
        return Send(client, posted, lambda req, body: self._message(req, receivers, posted, body))

    def _message(self, req: int, receivers: list[str] | None, posted: Posted, body: Body) -> control.SendData:
        return control.SendData(req, self._host.id, self.name, receivers, posted.header, posted.size, body)

    def _watch(self, send: Send, timeout: float | None, progress: bool | None) -> None:
        bar, arrived = Progress(send.size, f"channel {self.name!r}", progress), False
        try:
            if send.wait(timeout, bar.step, lambda: bar.update(send.sent)):
                send.result()
            else:
                self._slow(send.cancel(), timeout)
            arrived = True
        finally:
            bar.close(arrived)

    def _slow(self, ids: list[str], timeout: float | None) -> None:
        if not ids:
            return  # they took it in the last moment
        names = ", ".join(map(repr, self._host.names(ids)))
        raise SendTimeout(
            f"not taken within {timeout:g} s by {names}: their queue is full, or they are away. The others have it. "
            "A channel with policy='drop_oldest' never waits."
        )

    def _taken(self, count: int, size: int) -> None:
        with contextlib.suppress(RTCError):  # nobody waits for room any more
            self._host.client.send(control.Taken(self._host.id, self.name, count, size))

    def _check_readable(self) -> None:
        if self._handlers:
            raise RTCError(f"the messages of channel {self.name!r} go to its on_message functions: use either these or recv")

    def _opened(self, arrived: Arrived) -> Message | None:
        """The value; None where it is not one, which is reported."""
        try:
            header, value = unpack(arrived.header, arrived.body)
        except (InvalidValue, ImportError) as error:
            text = f"a message of {arrived.sender.name!r} on channel {self.name!r} cannot be used, and is dropped: {error}"
            logger.warning(text)
            self._host.report(RTCError(text))
            return None
        return Message(value, arrived.sender, header.time)

    def _handle_soon(self) -> None:
        if not self._handling:
            self._handling = True
            self._host.run(self._handle)

    def _handle(self) -> None:
        """In the thread for callbacks, which others wait for too: some of what has arrived."""
        self._handling = False
        try:
            for _ in range(AT_ONCE):
                if (arrived := self._arrivals.poll()) is None:
                    return
                if (message := self._opened(arrived)) is not None:
                    self._call(message)
        except RTCError:
            return  # it was closed
        self._handle_soon()

    def _call(self, message: Message) -> None:
        for handler in list(self._handlers):
            try:
                handler(message.value, message.sender)
            except BaseException as error:  # an exit() too: the next message is another one's
                logger.exception("a function for messages of channel %r failed", self.name)
                self._host.report(error)
