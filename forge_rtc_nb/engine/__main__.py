"""The engine program. A kernel starts it with descriptors; run by hand, it joins a room and prints what happens there."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys

from ..arena import Arena, create_arena
from ..control import Control, Way
from ..ring import create_memory

CLOSE_TIMEOUT = 3.0

logger = logging.getLogger("forge_rtc_nb.engine")


class LogLimit(logging.Filter):
    """At most `RECORDS` a minute: what others send us decides how much there is to log, and the log lies on the user's disk."""

    RECORDS = 200

    def __init__(self) -> None:
        super().__init__()
        self._minute = 0
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(record.created // 60)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        return self._count <= self.RECORDS


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m forge_rtc_nb.engine",
        description="Join a room on a Jupyter server with the forge_rtc_nb extension and print its events, one JSON object a "
        "line, until interrupted. (Kernels start the same program with --control.)",
    )
    parser.add_argument("server", nargs="?", help="URL of the Jupyter server; its token in FORGE_RTC_TOKEN")
    parser.add_argument("room", nargs="?", help="id of the room")
    parser.add_argument("--name", help="the name that others see")
    parser.add_argument("--control", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--memory", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--arena", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, metavar="PID", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.control is None and not (options.server and options.room):
        parser.error("give the server's URL and a room")
    return options


async def serve(options: argparse.Namespace) -> None:
    """Work for a kernel until it is gone."""
    from .lifetime import ParentWatch
    from .link import Link
    from .service import Service

    ended = asyncio.Event()
    control_socket = socket.socket(fileno=options.control)
    link: Link

    def post(message: Control) -> None:
        link.post(message)

    arena = Arena(options.arena, "engine")
    service = Service(options.memory, arena, post)
    link = Link(control_socket, service.receive, ended.set)
    watch = ParentWatch(options.parent, sys.stdin.fileno(), ended.set)
    watch.start()
    await ended.wait()
    arena.close()  # the kernel's user may keep what has arrived
    try:
        await asyncio.wait_for(service.close(), CLOSE_TIMEOUT)
    except TimeoutError:
        logger.warning("closing took longer than %g s", CLOSE_TIMEOUT)


async def watch_room(options: argparse.Namespace) -> None:
    """Join by hand, and print; `SystemExit` with status 1 where the room refuses us or ends."""
    import msgspec

    from ..control import Join, Reply, RoomState
    from .service import Service

    ended = asyncio.Event()

    def show(message: Control) -> None:
        print(msgspec.json.encode(message).decode(), flush=True)
        if (isinstance(message, Reply) and message.error) or (isinstance(message, RoomState) and message.state == "closed"):
            ended.set()

    service = Service(create_memory(), Arena(create_arena(), "engine"), show)
    url = options.server.rstrip("/") + "/"
    way = Way("command line", url, os.environ.get("FORGE_RTC_TOKEN"))
    service.receive(Join(1, options.room, options.name, [way], 10.0))
    try:
        await ended.wait()
        raise SystemExit(1)
    finally:
        await service.close()


def begin_log() -> None:
    """``FORGE_RTC_LOG`` says how much is logged; a word that is no level must not keep anybody from a call."""
    wanted = os.environ.get("FORGE_RTC_LOG", "WARNING").upper()
    known = wanted in logging.getLevelNamesMapping()
    logging.basicConfig(level=wanted if known else logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if not known:
        logger.warning("FORGE_RTC_LOG=%s is no level: use DEBUG, INFO, WARNING or ERROR; it is INFO now", wanted)


def run() -> None:
    options = parse()
    begin_log()
    for handler in logging.getLogger().handlers:
        handler.addFilter(LogLimit())
    from .aiortc_compat import install

    install()
    loop_factory = None
    try:
        import uvloop

        loop_factory = uvloop.new_event_loop
    except ImportError:
        pass
    work = serve(options) if options.control is not None else watch_room(options)
    status = 0
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(work)
    except KeyboardInterrupt:
        pass
    except SystemExit as end:
        status = int(end.code or 0)
    # Decoder threads of a connection that did not close in time must not keep a finished engine alive.
    logging.shutdown()
    os._exit(status)


if __name__ == "__main__":
    run()
