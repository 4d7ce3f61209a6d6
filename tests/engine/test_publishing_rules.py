"""When a frame is due, and which bitrate fits an audience: pure, the time is a number (test process)."""

from __future__ import annotations

from itertools import pairwise

from forge_rtc_nb.engine.publishing.audience import FIRST_TRIAL, SILENCE, TRIAL, Audience
from forge_rtc_nb.engine.publishing.schedule import (
    JOIN_INTERVAL,
    KEEPALIVE,
    REFRESH_COUNT,
    REFRESH_INTERVAL,
    REQUEST_INTERVAL,
    STARVING_INTERVAL,
    Due,
    Schedule,
)

# ---- the schedule ----


def run(schedule: Schedule, begin: float, end: float) -> list[Due]:
    """What is encoded in this time, each frame as soon as it is due."""
    frames = []
    while (due := schedule.next(begin)) is not None and due.at < end:
        begin = due.at + 1e-6
        schedule.encoded(due.at, due.keyframe)
        frames.append(due)
    return frames


def calm() -> Schedule:
    """A picture was encoded at 0, and often enough."""
    schedule = Schedule()
    schedule.picture()
    schedule.ask_keyframe(joined=True)
    assert run(schedule, 0, 5)[0] == Due(0, True)
    return schedule


def test_before_the_first_picture_nothing_is_due() -> None:
    schedule = Schedule()
    schedule.ask_keyframe(joined=True)
    assert schedule.next(0) is None


def test_a_new_picture_is_due_at_once() -> None:
    schedule = calm()
    schedule.picture()
    assert schedule.next(5.01) == Due(5.01, False)


def test_a_still_is_refreshed_and_then_kept_alive() -> None:
    schedule = calm()
    schedule.picture()
    times = [due.at - 6 for due in run(schedule, 6, 6 + REFRESH_COUNT * REFRESH_INTERVAL + 3.5 * KEEPALIVE)]
    assert len(times) == 1 + REFRESH_COUNT + 3
    assert times[1] - times[0] < 1.01 * REFRESH_INTERVAL
    assert times[-1] - times[-2] > 0.99 * KEEPALIVE


def test_a_picture_that_is_lost_is_not_encoded_again() -> None:
    schedule = calm()
    schedule.picture()
    schedule.lost()
    schedule.ask_keyframe()
    assert schedule.next(9) is None
    schedule.picture()
    assert schedule.next(9) == Due(9, True)


def test_requests_within_an_interval_give_one_keyframe() -> None:
    schedule = calm()
    keyframes = []
    for step in range(300):  # 10 s at 30 frames a second; everybody asks with each frame
        now = 5 + step / 30
        schedule.ask_keyframe()
        schedule.picture()
        due = schedule.next(now)
        assert due is not None
        assert due.at == now
        schedule.encoded(now, due.keyframe)
        if due.keyframe:
            keyframes.append(now)
    assert 9 <= len(keyframes) <= 10
    assert min(b - a for a, b in pairwise(keyframes)) > 0.99 * REQUEST_INTERVAL


def test_who_has_no_picture_waits_less() -> None:
    schedule = calm()
    schedule.ask_keyframe()
    schedule.encoded(5, True)
    schedule.ask_keyframe()
    schedule.ask_keyframe(joined=True)
    due = [due for due in run(schedule, 5, 6) if due.keyframe]
    assert [round(item.at, 3) for item in due] == [5 + JOIN_INTERVAL]


def test_for_those_below_the_floor_alone_only_keyframes_are_encoded() -> None:
    schedule = calm()
    schedule.whole, schedule.hungry = False, True
    schedule.picture()
    frames = run(schedule, 5, 5 + 2.5 * STARVING_INTERVAL)
    assert len(frames) in (2, 3)
    assert all(due.keyframe for due in frames)


# ---- the audience ----


def audience(*viewers: str) -> Audience:
    """At time 0, while 3 Mbit/s are sent."""
    made = Audience(floor=300_000, ceiling=3_000_000)
    for viewer in viewers:
        made.join(viewer, 0)
    send(made, 0)
    return made


def send(made: Audience, until: float) -> None:
    for frame in range(30):
        made.sent(made.bitrate // 8 // 30, until - 1 + frame / 30)


def test_the_slowest_path_decides() -> None:
    made = audience("a", "b", "c")
    assert made.bitrate == 3_000_000
    made.report_bitrate("a", 9_000_000, 0)
    made.report_bitrate("b", 1_000_000, 0)
    assert made.bitrate == 1_000_000
    made.leave("b")
    assert made.bitrate == 3_000_000


def test_a_path_that_carries_more_is_believed() -> None:
    made = audience("a")
    made.report_bitrate("a", 1_000_000, 0)
    made.report_bitrate("a", 1_400_000, 0.5)
    assert made.bitrate == 1_400_000
    made.report_bitrate("a", 5_000_000, 1)
    assert made.bitrate == 3_000_000


def test_an_estimate_above_what_is_sent_says_nothing() -> None:
    made = Audience(floor=300_000, ceiling=3_000_000)
    made.join("a", 0)
    made.sent(800, 0)  # a still
    made.report_bitrate("a", 40_000, 0.1)
    made.report_bitrate("a", 30_000, 0.2)
    made.update(1)
    assert made.bitrate == 3_000_000
    assert not made.starving("a")


def lose(made: Audience, viewer: str, begin: float, losses: list[float]) -> list[int]:
    """Report a loss for each second from ``begin`` on, of 100 packets each; the bitrates that follow."""
    lost, bitrates = 0.0, []
    made.report_loss(viewer, 0, 1000, begin)
    for second, loss in enumerate(losses, 1):
        lost += 100 * loss
        made.report_loss(viewer, round(lost), 1000 + 100 * second, begin + second)
        bitrates.append(made.bitrate)
    return bitrates


def test_loss_lowers_the_bitrate_and_its_absence_raises_it() -> None:
    bitrates = lose(audience("a", "b"), "a", 0, [0.05, 0.2, 0.2, 0.05, 0, 0, 0, 0, 0, 0, 0])
    assert bitrates[:4] == [3_000_000, 2_700_000, 2_430_000, 2_430_000]
    assert 2_430_000 < bitrates[4] < bitrates[5] <= 3_000_000
    assert bitrates[-1] == 3_000_000


def test_a_few_packets_say_nothing_about_loss() -> None:
    made = audience("a")
    for count in range(40):  # of each two packets one is lost, and asked for at once
        made.report_loss("a", count, 1000 + 2 * count, 0.01 * count)
    assert made.bitrate == 3_000_000


def test_below_the_floor_a_viewer_counts_no_more_and_is_tried_again() -> None:
    made = audience("a", "b")
    made.report_bitrate("a", 200_000, 0)
    assert made.bitrate == 300_000
    assert made.update(0.1) == []
    assert made.starving("a")
    assert not made.starving("b")
    assert made.bitrate == 3_000_000
    made.report_bitrate("b", 3_000_000, FIRST_TRIAL)
    assert made.update(0.1 + FIRST_TRIAL) == ["a"]
    assert not made.starving("a")
    send(made, FIRST_TRIAL + 1)
    made.report_bitrate("a", 100_000, FIRST_TRIAL + 1)
    assert made.bitrate == 3_000_000  # it is not heeded yet
    made.report_bitrate("b", 3_000_000, FIRST_TRIAL + TRIAL)
    made.update(FIRST_TRIAL + TRIAL + 0.2)
    assert made.starving("a")
    assert made.update(FIRST_TRIAL + TRIAL + 0.2 + FIRST_TRIAL) == []  # the second wait is longer


def test_a_path_that_is_better_at_the_trial_counts_again() -> None:
    made = audience("a")
    made.report_bitrate("a", 200_000, 0)
    made.update(0)
    assert made.update(FIRST_TRIAL) == ["a"]
    send(made, FIRST_TRIAL + 1)
    made.report_bitrate("a", 700_000, FIRST_TRIAL + 1)
    made.update(FIRST_TRIAL + TRIAL)
    assert not made.starving("a")
    assert made.bitrate == 700_000


def test_who_is_silent_gets_keyframes_only() -> None:
    made = audience("a", "b")
    made.report_loss("b", 0, 1, SILENCE)
    made.update(SILENCE + 0.1)
    assert made.starving("a")
    assert not made.starving("b")
    assert made.starving_count == 1
