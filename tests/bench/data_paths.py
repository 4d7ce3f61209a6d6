"""The ways that an array can go, each with two ends that are asked alike (bench process)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from forge_rtc_nb.kernel.engine_process import ALLOCATION
from tests.bench.data_notebook import comm_ends
from tests.bench.data_page import PageEnd, joined_page
from tests.bench.data_play import End
from tests.bench.data_worker import Worker
from tests.bench.video.rig import Rig

Open = Callable[[Rig], AbstractContextManager[tuple[End, End]]]
"""Gives the sender and the receiver."""


@dataclass(frozen=True)
class Path:
    """One of them."""

    label: str
    open: Open


@contextmanager
def raw_pair(kind: str) -> Iterator[tuple[Worker, Worker]]:
    """Two processes with a bare data channel between them; kinds as `data_raw_end` has them."""
    command = ("tests.bench.data_raw_end", kind)
    environ = ALLOCATION if kind == "ours" else {}
    with Worker(*command, environ=environ) as sender, Worker(*command, environ=environ) as receiver:
        answer = receiver.call("answer", sdp=sender.call("offer"))
        sender.call("accept", sdp=answer)
        yield sender, receiver


@contextmanager
def kernel_pair(rig: Rig) -> Iterator[tuple[Worker, Worker]]:
    """Two kernels in a new room."""
    command = ("tests.bench.data_kernel_end", rig.server.url, f"bench-{secrets.token_hex(4)}")
    environ = {"FORGE_RTC_TOKEN": rig.server.token}
    with Worker(*command, environ=environ) as sender, Worker(*command, environ=environ) as receiver:
        sender.begin("ready")
        receiver.call("ready")
        sender.result()
        yield sender, receiver


@contextmanager
def kernel_and_page(rig: Rig) -> Iterator[tuple[Worker, PageEnd]]:
    """A kernel and a page in a new room."""
    room = f"bench-{secrets.token_hex(4)}"
    environ = {"FORGE_RTC_TOKEN": rig.server.token}
    with (
        Worker("tests.bench.data_kernel_end", rig.server.url, room, environ=environ) as kernel,
        joined_page(rig, room) as page,
    ):
        kernel.begin("ready")
        page.call("ready")
        kernel.result()
        yield kernel, page


def backwards(open_: Open) -> Open:
    """The receiver sends."""

    @contextmanager
    def ends(rig: Rig) -> Iterator[tuple[End, End]]:
        with open_(rig) as (sender, receiver):
            yield receiver, sender

    return ends


PATHS: dict[str, Path] = {
    "kernels": Path("ours: ch.send to ch.recv, two kernels", kernel_pair),
    "raw": Path("the bare data channel below it", lambda rig: raw_pair("ours")),
    "stock": Path("aiortc as it is", lambda rig: raw_pair("stock")),
    "wrtc": Path("libwebrtc (wrtc)", lambda rig: raw_pair("wrtc")),
    "to page": Path("ours: kernel to page", kernel_and_page),
    "from page": Path("ours: page to kernel", backwards(kernel_and_page)),
    "comm to page": Path("a widget's buffers: kernel to page", comm_ends),
    "comm from page": Path("a widget's buffers: page to kernel", backwards(comm_ends)),
}
