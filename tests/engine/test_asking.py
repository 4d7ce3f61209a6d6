"""What is asked of another participant's client, and whose answer counts (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from forge_rtc_nb import control
from forge_rtc_nb.engine.asking import Asking
from forge_rtc_nb.errors import RTCError, RTCTimeout
from forge_rtc_nb.protocol import Constrain, Constrained, Error, Message, Mute


def request(timeout: float = 10.0) -> control.Constrain:
    return control.Constrain(1, "room", "tab-1", "camera-1", 640, None, 15, timeout)


class Asked:
    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.asking = Asking(self.sent.append)

    async def begin(self) -> tuple[asyncio.Task[list[int]], Constrain]:
        task = asyncio.create_task(self.asking.constrain(request()))
        await asyncio.sleep(0)
        question = self.sent[-1]
        assert isinstance(question, Constrain)
        return task, question

    def answer(self, question: Constrain, sender: str = "tab-1", problem: str | None = None) -> None:
        assert question.id is not None
        self.asking.receive(Constrained(from_=sender, reply_to=question.id, width=640, height=480, fps=15, problem=problem))


async def test_the_answer_of_who_was_asked_is_the_result() -> None:
    asked = Asked()
    task, question = await asked.begin()
    assert (question.to, question.stream, question.width, question.height, question.fps) == ("tab-1", "camera-1", 640, None, 15)
    asked.answer(question, sender="somebody-else")
    assert not task.done()
    asked.answer(question)
    asked.answer(question)
    assert await task == [640, 480, 15]
    asked.answer(question)  # too late: nobody waits


async def test_questions_do_not_take_each_others_answers() -> None:
    asked = Asked()
    first, one = await asked.begin()
    second, two = await asked.begin()
    asked.answer(two, problem="it is off")
    with pytest.raises(RTCError, match="it is off"):
        await second
    asked.answer(one)
    assert await first == [640, 480, 15]


async def test_a_tab_that_does_not_answer_is_not_waited_for() -> None:
    with pytest.raises(RTCTimeout, match="not answered"):
        await Asked().asking.constrain(request(timeout=0.01))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lambda asking, question: asking.left("tab-1"), "has left"),
        (lambda asking, question: asking.refused(Error("peer-not-found", "nobody is here", question.id)), "nobody is here"),
        (lambda asking, question: asking.end("room 'a' is closed"), "is closed"),
    ],
    ids=["left", "refused", "over"],
)
async def test_who_cannot_answer_is_not_waited_for(said: Callable[[Asking, Constrain], None], words: str) -> None:
    asked = Asked()
    task, question = await asked.begin()
    asked.asking.left("somebody-else")
    asked.asking.refused(Error("peer-not-found", "of something else"))
    await asyncio.sleep(0)
    assert not task.done()
    said(asked.asking, question)
    with pytest.raises(RTCError, match=words) as raised:
        await task
    assert not isinstance(raised.value, RTCTimeout)


async def test_to_mute_is_one_message() -> None:
    asked = Asked()
    asked.asking.mute(control.Mute("room", "tab-1", "microphone-1"))
    assert asked.sent == [Mute(to="tab-1", stream="microphone-1")]
