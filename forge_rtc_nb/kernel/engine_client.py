"""The kernel's end of the control socket: requests with replies, events to their rooms, frames to their views."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from .. import control
from ..arena import Arena
from ..control import Control
from ..control_stream import Message, Unpacker, pack
from ..errors import EngineDied, NotInRoom, RTCError, RTCTimeout
from .engine_process import EngineProcess
from .mailbox import Mailbox
from .requests import Request, error_of
from .ring_view import RingView
from .sound_view import SoundView
from .switching import prompt_switching
from .views import View

logger = logging.getLogger("forge_rtc_nb")

ANSWER = 5.0
"""Seconds in which an engine says by itself that a time is over; it may have connections to close first."""
FORKED = "a forked child process cannot use its parent's rooms and streams; call rtc.join(...) in the child itself"


class Listener(Protocol):
    """What a room takes from the engine; called in the client's reader thread."""

    def on_engine(self, message: Message) -> None: ...

    def on_data(self, message: control.Received | control.SharedChanged, body: bytes | memoryview) -> None: ...

    def on_engine_died(self, error: EngineDied) -> None: ...


class EngineClient:
    """One engine and the thread that reads from it. It ends when its last user lets go (`release`).

    Thread-safe. A forked child of the kernel cannot use it: every call there is an `RTCError`.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._process = EngineProcess()
        # Reentrant: the garbage collector may let an iterator go, and so send, at any moment in any thread.
        self._lock = threading.RLock()
        self._outgoing = Mailbox(self._process.socket)
        self._numbers = itertools.count(1)
        self._replies: dict[int, Request] = {}
        self._listeners: dict[str, Listener] = {}
        self._views: dict[int, RingView[Any]] = {}
        self._users = 0
        self._ending = False
        self._closed = False
        self._died: EngineDied | None = None
        self._thread = threading.Thread(target=self._read, name="forge-rtc-engine", daemon=True)
        self._thread.start()
        self._writer = threading.Thread(target=self._outgoing.run, name="forge-rtc-engine-out", daemon=True)
        self._writer.start()
        prompt_switching.begin()
        _clients.add(self)

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._closed and self._died is None and self._pid == os.getpid()

    def listen(self, room: str, listener: Listener) -> Listener | None:
        """Send the events of a room to this listener from now on, instead of to the one before, which is returned."""
        before = self._listeners.get(room)
        self._listeners[room] = listener
        return before

    def unlisten(self, room: str, listener: Listener, before: Listener | None = None) -> None:
        """Undo `listen`, where no other listener took over since."""
        if self._listeners.get(room) is not listener:
            return
        if before is not None:
            self._listeners[room] = before
        else:
            del self._listeners[room]

    def request(self, message: Callable[[int], Control], timeout: float) -> Any:
        """Send a request and wait for its reply. Errors: the engine's own, `RTCTimeout`, `EngineDied`, `NotInRoom`."""
        request = self.start(message)
        try:
            if not request.wait(timeout):
                raise RTCTimeout(f"the engine did not answer within {timeout:g} s")
            return request.result()
        finally:
            request.close()

    def start(self, message: Callable[[int], Control]) -> Request:
        """Send a request whose reply is looked at later; `Request.close` it."""
        request = self.prepare()
        try:
            self.send(message(request.number))
        except BaseException:
            request.close()
            raise
        return request

    def prepare(self) -> Request:
        """A request that is not sent yet; `Request.close` it."""
        number = self.new_number()
        request = self._replies[number] = Request(number, self)
        return request

    def new_number(self) -> int:
        """One that this engine was never told of, for a request or whatever else has a number."""
        return next(self._numbers)

    def forget(self, number: int) -> None:
        """Nobody waits for the reply to this request."""
        self._replies.pop(number, None)

    @property
    def death(self) -> RTCError:
        """What to raise where the engine is gone: it died, or every room was left."""
        if self._died is not None:
            return self._died.again()
        return NotInRoom("the room was left, and the engine closed; join again")

    @property
    def memory(self) -> int:
        """A descriptor of the memory that pictures cross in."""
        return self._process.memory

    @property
    def arena(self) -> Arena:
        """Memory that messages cross in."""
        return self._process.arena

    def send(self, message: Control) -> None:
        """Queue a message; never blocks, and may be called from anywhere, the garbage collector too."""
        self._check()
        self._outgoing.put(pack(message))

    def _give_back(self, offset: int) -> None:
        self._tell(control.GiveBack(offset))

    def open_view(self, room: str, participant: str, stream: str, pixel_format: str) -> View:
        """Have a stream's pictures written into a ring for us."""
        view = View(self.new_number(), pixel_format, self._process.memory, self._close_view)
        self._open(view, room, participant, stream, pixel_format)
        return view

    def open_sound(self, room: str, participant: str, stream: str, sound_format: str) -> SoundView:
        """Have a stream's sound written into a ring for us."""
        view = SoundView(self.new_number(), self._process.memory, self._close_view)
        self._open(view, room, participant, stream, sound_format)
        return view

    def _open(self, view: RingView[Any], room: str, participant: str, stream: str, form: str) -> None:
        view.origin = (room, participant)
        self._views[view.number] = view
        try:
            self.send(control.OpenView(view.number, room, participant, stream, form))
        except RTCError:
            self._views.pop(view.number, None)
            raise

    def blame(self, room: str, participant: str, error: RTCError) -> None:
        """Nothing comes from a participant: who waits for its frames in vain gets this error instead of a mere timeout."""
        for view in list(self._views.values()):
            if view.origin == (room, participant):
                view.fault = error

    def _close_view(self, view: RingView[Any]) -> None:
        if self._views.pop(view.number, None) is not None and self.alive:
            with contextlib.suppress(RTCError):
                self.send(control.CloseView(view.number))

    def acquire(self) -> bool:
        """One user more; false where it has ended, or is about to."""
        if not self.alive:
            return False
        with self._lock:
            self._users += not self._ending
            return not self._ending

    def release(self) -> None:
        """One user less; the last one ends the engine."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._users -= 1
            self._ending = self._users <= 0
        if self._ending:
            self.close()

    def close(self) -> None:
        """End the engine and the thread; idempotent."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for pending in list(self._replies.values()):
            pending.end(None)
        for view in list(self._views.values()):
            view.end(None)
            view.close()
        self._outgoing.close()
        self._process.close()
        self._writer.join()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._gone()

    def _gone(self) -> None:
        with self._lock:
            if self in _clients:
                _clients.discard(self)
                prompt_switching.end()

    def abandon(self) -> None:
        """In a forked child of the kernel."""
        self._closed = True
        for view in self._views.values():
            view.abandon(RTCError(FORKED))
        self._process.abandon()

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise RTCError(FORKED)
        if self._died is not None or self._closed:
            raise self.death

    def _read(self) -> None:
        unpacker = Unpacker()
        try:
            while data := self._process.socket.recv(65536):
                for message in unpacker.feed(data):
                    self._handle(message)
        except (OSError, ValueError):
            pass
        if not self._closed and self._pid == os.getpid():
            self._report_death()

    def _report_death(self) -> None:
        cause = self._process.cause_of_death()
        self._died = error = EngineDied(f"the engine process ended: {cause}\nJoin again to start a new one.")
        for pending in list(self._replies.values()):
            pending.end(None)
        for view in list(self._views.values()):
            view.end(error)
        for listener in list(self._listeners.values()):
            listener.on_engine_died(error)
        self._outgoing.close()
        self._process.close()
        self._gone()

    def _handle(self, message: Message) -> None:
        try:
            self._dispatch(message)
        except Exception:
            # Without this thread every call of the kernel would time out.
            logger.exception("a %s of the engine could not be handled", type(message).__name__)

    def _dispatch(self, message: Message) -> None:
        match message:
            case control.ViewReady() | control.ViewOpened() | control.ViewEnded():
                self._about_view(message)
            case control.Reply(req=number) | control.SendProgress(send=number):
                if (request := self._replies.get(number)) is not None:
                    request.tell(message)
            case control.GiveBack(offset=offset):
                self.arena.returned(offset)
            case control.Received() | control.SharedChanged():
                self._take_data(message)
            case _:
                if (listener := self._listeners.get(getattr(message, "room", ""))) is not None:
                    listener.on_engine(message)

    def _about_view(self, message: control.ViewReady | control.ViewOpened | control.ViewEnded) -> None:
        view = self._views.get(message.view)
        if view is None:
            return
        match message:
            case control.ViewReady():
                view.pump()
            case control.ViewOpened(region=region):
                view.map(region)
            case control.ViewEnded(error=code, message=text):
                view.end(error_of(code, text) if code else None)

    def _take_data(self, message: control.Received | control.SharedChanged) -> None:
        listener = self._listeners.get(message.room)
        try:
            body = self._body(message)  # given back where nobody takes it
        except MemoryError:
            logger.exception("a message of %d bytes is dropped", message.size)
            assert isinstance(message.body, int)
            self._give_back(message.body)
            listener = None
        if listener is not None:
            listener.on_data(message, body)
        elif isinstance(message, control.Received):
            self._tell(control.Taken(message.room, message.channel, 1, message.size))
        if isinstance(message, control.SharedChanged):
            self._tell(control.SharedSeen(message.room))

    def _tell(self, message: Control) -> None:
        with contextlib.suppress(RTCError):
            self.send(message)

    def _body(self, message: control.Received | control.SharedChanged) -> bytes | memoryview:
        if isinstance(message.body, bytes):
            return message.body
        if self.arena.owns(message.body):  # we wrote it ourselves
            return self.arena.lent(message.body).memory
        return self.arena.borrowed(message.body, message.size, self._give_back).memory


_clients: weakref.WeakSet[EngineClient] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client.abandon()
    engines.forget()
    prompt_switching.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class EngineHolder:
    """Finds the kernel's one engine, and starts one where there is none that lives."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: EngineClient | None = None

    def forget(self) -> None:
        """In a forked child of the kernel: the engine is its parent's."""
        self._lock = threading.RLock()
        self._client = None

    def acquire(self) -> EngineClient:
        """The engine, with one user more; pair it with `EngineClient.release`."""
        with self._lock:
            if self._client is None or not self._client.acquire():
                self._client = EngineClient()
                self._client.acquire()
            return self._client


engines = EngineHolder()
"""The kernel's engine. Module state, because a kernel has exactly one."""
