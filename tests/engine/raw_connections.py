"""Our end of raw data channels connected with another one, and what each gets of the other (test process)."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiortc

from forge_rtc_nb.engine.aiortc_compat import install
from tests.bench.data_worker import Worker
from tests.engine.raw_end import RawEnd
from tests.engine.raw_messages import Channel, check
from tests.support import await_for

install()

Messages = Mapping[Channel, list[bytes]]
Condition = Callable[[], bool | Awaitable[bool]]

COMMANDS = {
    "ours": ("tests.engine.raw_end", "ours"),
    "stock": ("tests.engine.raw_end", "stock"),
    "wrtc": ("tests.engine.raw_end", "wrtc"),
    "chromium": ("tests.engine.raw_chromium",),
}
"""The other ends."""


class Connected:
    """Both ends; the far one is asked in a thread, as it answers when it likes."""

    def __init__(self, near: RawEnd, far: Worker, channels: list[Channel]) -> None:
        self.near = near
        self.channels = channels
        self._far = far

    async def ask(self, name: str, **arguments: Any) -> Any:
        """Of the far end."""
        return await asyncio.to_thread(self._far.call, name, **arguments)

    async def opened(self) -> bool:
        """Whether all channels are open at both ends."""
        far = await self.ask("opened")
        return len(far) == len(await self.near.opened()) == len(self.channels)

    async def exchange(self, out: Messages, back: Messages, limit: float = 20.0) -> None:
        """Send at both ends at once, and check what comes."""
        encoded = [{c.label: [b64encode(m).decode() for m in some] for c, some in way.items()} for way in (out, back)]
        await asyncio.gather(self.near.send(encoded[0]), self.ask("send", messages=encoded[1]))
        near: dict[str, int] = {}
        far: dict[str, int] = {}

        async def all_here() -> bool:
            near.update(await self.near.counts())
            far.update(await self.ask("counts"))
            return _enough(out, far) and _enough(back, near)

        condition: Condition = all_here
        try:
            await await_for(condition, limit, "what has to arrive")
        except AssertionError as error:
            raise AssertionError(f"{error}; there are {near} here and {far} there") from None
        for channel, sent in out.items():
            check(channel, sent, [b64decode(text) for text in await self.ask("arrived", label=channel.label)])
        for channel, sent in back.items():
            check(channel, sent, self.near.got[channel.label])


def _enough(way: Messages, counts: Mapping[str, int]) -> bool:
    """All of reliable channels; of the others together something: no pattern of losses takes everything from them."""
    lossy = [counts[channel.label] for channel in way if not channel.reliable]
    return (any(lossy) or not lossy) and all(counts[c.label] == len(sent) for c, sent in way.items() if c.reliable)


@asynccontextmanager
async def connected(far: Worker, channels: list[Channel], offerer: str = "near") -> AsyncIterator[Connected]:
    """Open channels of a new connection."""
    near = RawEnd(aiortc, "near")
    both = Connected(near, far, channels)
    wanted = [channel.wanted() for channel in channels]
    try:
        await asyncio.gather(near.open(wanted), both.ask("open", channels=wanted))
        if offerer == "near":
            await near.accept(await both.ask("answer", sdp=await near.offer()))
        else:
            await both.ask("accept", sdp=await near.answer(await both.ask("offer")))
        condition: Condition = both.opened
        await await_for(condition, 20, "open channels at both ends")
        yield both
    finally:
        await asyncio.gather(near.close(), both.ask("close"))
