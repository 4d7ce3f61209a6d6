"""What bare data channels carry between two processes, or a process and a page (bench process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from forge_rtc_nb.kernel.engine_process import ALLOCATION
from tests.bench.data_raw_end import MESSAGE
from tests.bench.data_worker import Worker
from tests.bench.report import Options
from tests.bench.video.medians import Rows

OURS, SMALL, SINGLE, STOCK, WRTC, CHROMIUM = "ours", "ours small", "ours single", "stock", "wrtc", "chromium"
PAIRS = [(kind, kind) for kind in (OURS, SMALL, SINGLE, STOCK, WRTC)]
PAIRS += [(OURS, STOCK), (STOCK, OURS), (OURS, WRTC), (WRTC, OURS)]
WITH_CHROMIUM = [(OURS, CHROMIUM), (WRTC, CHROMIUM), (CHROMIUM, OURS), (CHROMIUM, WRTC)]
BYTES, FEW_BYTES, LOSSY_BYTES, PAGE_BYTES = 256_000_000, 32_000_000, 48_000_000, 96_000_000
"""Of each connection in a round; few where aiortc as it is is at one end, which would take minutes, or a page."""
TURNS = 4
"""In which a round transfers them, and goes there and back."""
LOSSES = (0.001, 0.01)
ROUND_TRIPS = {"1k": (1024, 2000), "100k": (102_400, 500)}
DELAYS = (0.01, 0.05)
"""Seconds each way."""
CHANNELS = 4
LIMIT = 180.0
LONG = 1 << 40

Ends = tuple[Worker, Worker]


@contextmanager
def opened(pair: tuple[str, str], loss: float = 0.0, delay: float = 0.0, channels: int = 1) -> Iterator[Ends]:
    """A new connection of two new processes; the first is the sender, and offers."""
    with ExitStack() as stack:
        sender, receiver = (stack.enter_context(_worker(kind)) for kind in pair)
        offer = sender.call("offer", **({"channels": channels} if channels > 1 else {}))
        if not (loss or delay):
            sender.call("accept", sdp=receiver.call("answer", sdp=offer))
        else:
            proxy = stack.enter_context(Worker("tests.bench.channels_proxy", str(loss), str(delay)))
            answer = receiver.call("answer", sdp=proxy.call("stand_in", side=0, sdp=offer))
            sender.call("accept", sdp=proxy.call("stand_in", side=1, sdp=answer))
        yield sender, receiver


def _worker(kind: str) -> Worker:
    if kind == CHROMIUM:
        return Worker("tests.bench.channels_chromium")
    return Worker("tests.bench.channels_end", kind, environ=ALLOCATION if kind.startswith(OURS) else {})


def transfer(ends: Ends, size: int) -> float:
    """10^6 bytes a second at the receiver, from the first whole message on; an error where what came is not what was sent."""
    sender, receiver = ends
    messages = max(2, size // MESSAGE)
    receiver.call("listen", messages=messages)
    receiver.begin("taken", seconds=LIMIT)
    sent = sender.call("give", 2 * LIMIT, messages=messages, seconds=LIMIT)
    got = receiver.result(2 * LIMIT)
    if got["sums"] != sent:
        raise ValueError(f"{sum(got['counts'].values())} of {messages} messages came, or not as they were sent")
    return float((messages - 1) * MESSAGE / got["seconds"] / 1e6)


def _rows(options: Options, measure: Callable[..., dict[str, Any]], cases: list[dict[str, Any]]) -> Rows:
    """Every case in turn, in each round."""
    return [_row(number, case, partial(measure, options, **case)) for number in range(options.rounds) for case in cases]


def _row(number: int, case: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        row = {**case, **measure()}
    except Exception as error:  # this connection only
        row = {**case, "error": f"{type(error).__name__}: {error}"}
    figures = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if isinstance(value, float))
    print(f"  round {number + 1}: {' to '.join(case['pair'])}: {row.get('error') or figures or 'connected'}", flush=True)
    return row


def _size(options: Options, size: int) -> int:
    return size // 16 if options.quick else size


def rates(options: Options) -> Rows:
    return _in_turns(options, PAIRS, _rate)


def _in_turns(options: Options, pairs: list[tuple[str, str]], measure: Callable[..., dict[str, Any]]) -> Rows:
    """Each round has all connections at once, used one after the other, again and again: what a machine or a page does in a
    second changes by a third within a minute."""
    rows: Rows = []
    for number in range(options.rounds):
        with ExitStack() as stack:
            ends: dict[tuple[str, str], Ends] = {}
            opening = [_row(number, {"pair": pair}, partial(_open, stack, ends, pair)) for pair in pairs]
            rows += [row for row in opening if "error" in row]
            for _ in range(TURNS):
                rows += [_row(number, {"pair": pair}, partial(measure, options, pair, each)) for pair, each in ends.items()]
    return rows


def _open(stack: ExitStack, ends: dict[tuple[str, str], Ends], pair: tuple[str, str]) -> dict[str, Any]:
    fresh = stack.enter_context(opened(pair))
    transfer(fresh, MESSAGE * 64)  # windows begin small
    ends[pair] = fresh
    return {}


def _rate(options: Options, pair: tuple[str, str], ends: Ends) -> dict[str, Any]:
    row: dict[str, Any] = {"mb_s": transfer(ends, _size(options, FEW_BYTES if STOCK in pair else BYTES) // TURNS)}
    for name, (size, count) in ROUND_TRIPS.items() if pair[0] == pair[1] else ():
        row[f"round_trip_{name}_ms"] = _round_trip(ends, size, count // (10 if options.quick else 1) // TURNS)
    return row


def _round_trip(ends: Ends, size: int, count: int) -> float:
    sender, receiver = ends
    receiver.begin("echo")
    p50: float = sender.call("round_trips", LIMIT, size=size, count=count)
    receiver.result()
    return p50


def loss(options: Options) -> Rows:
    cases = [{"pair": (kind, kind), "loss": share} for share in LOSSES for kind in (OURS, SMALL, WRTC)]
    return _rows(options, _through, cases)


def delay(options: Options) -> Rows:
    cases = [{"pair": (kind, kind), "delay": seconds} for seconds in DELAYS for kind in (OURS, SMALL, WRTC)]
    return _rows(options, _through, cases)


def _through(options: Options, pair: tuple[str, str], loss: float = 0.0, delay: float = 0.0) -> dict[str, Any]:
    with opened(pair, loss, delay) as ends:
        return {"mb_s": transfer(ends, _size(options, LOSSY_BYTES))}


def chromium(options: Options) -> Rows:
    return _in_turns(options, WITH_CHROMIUM, _page)


def _page(options: Options, pair: tuple[str, str], ends: Ends) -> dict[str, Any]:
    return {"mb_s": transfer(ends, _size(options, PAGE_BYTES) // TURNS)}


def shares(options: Options) -> Rows:
    return _rows(options, _share, [{"pair": (kind, kind)} for kind in (OURS, SMALL)])


def _share(options: Options, pair: tuple[str, str]) -> dict[str, Any]:
    """What each of several channels got of the time."""
    with opened(pair, channels=CHANNELS) as (sender, receiver):
        receiver.call("listen", messages=LONG)
        receiver.begin("taken", seconds=options.seconds)
        sender.call("give", LIMIT, messages=LONG, seconds=options.seconds)
        counts = receiver.result(LIMIT)["counts"].values()
        return {"slowest_share": min(counts) * CHANNELS / sum(counts), "messages": sum(counts)}
