"""What this kernel asks of another participant's client, and the answer (engine process)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from .. import control
from ..errors import RTCError, RTCTimeout
from ..protocol import Constrain, Constrained, Error, Message, Mute


class Asking:
    """Of one room. ``send`` passes a message to the server."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._asked: dict[str, tuple[str, asyncio.Future[Constrained]]] = {}
        """By the id of the question: who was asked, and what comes of it."""

    def mute(self, request: control.Mute) -> None:
        self._send(Mute(to=request.participant, stream=request.stream))

    async def constrain(self, request: control.Constrain) -> list[int]:
        """Width, height and pictures a second as they are now. Errors: `RTCError` (why they are not), `RTCTimeout`."""
        number = f"constrain-{next(self._numbers)}"
        answer: asyncio.Future[Constrained] = asyncio.get_running_loop().create_future()
        self._asked[number] = request.participant, answer
        self._send(
            Constrain(
                to=request.participant,
                id=number,
                stream=request.stream,
                width=request.width,
                height=request.height,
                fps=request.fps,
            )
        )
        try:
            said = await asyncio.wait_for(answer, request.timeout)
        except TimeoutError:
            raise RTCTimeout(
                f"the tab has not answered within {request.timeout:g} s: is it open, and in the foreground?"
            ) from None
        finally:
            del self._asked[number]
        if said.problem is not None:
            raise RTCError(f"the tab cannot do that: {said.problem}")
        return [said.width, said.height, said.fps]

    def receive(self, message: Constrained) -> None:
        """From somebody else than was asked it is no answer."""
        asked, answer = self._asked.get(message.reply_to, ("", None))
        if answer is not None and not answer.done() and message.from_ == asked:
            answer.set_result(message)

    def refused(self, message: Error) -> None:
        """The server did not pass on what its ``reply_to`` says."""
        _, answer = self._asked.get(message.reply_to or "", ("", None))
        if answer is not None:
            _fail(answer, f"the server says: {message.message}")

    def left(self, participant: str) -> None:
        """Who is gone answers nothing."""
        for asked, answer in self._asked.values():
            if asked == participant:
                _fail(answer, "the tab has left the room")

    def end(self, why: str) -> None:
        """Nobody answers any more."""
        for _, answer in self._asked.values():
            _fail(answer, why)


def _fail(answer: asyncio.Future[Constrained], why: str) -> None:
    if not answer.done():
        answer.set_exception(RTCError(why))
