"""How much an SCTP association has under way, and what it does when something is lost (test process)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from forge_rtc_nb.engine.datachannel.chunks import AT_ONCE, DATA, FIRST, LAST, SACK, packet, parse_sack, sack_chunk
from forge_rtc_nb.engine.datachannel.congestion import RTO_MAX, RTO_MIN, SACK_DELAY, TIMER
from forge_rtc_nb.engine.datachannel.events import ProbeAcknowledged
from forge_rtc_nb.engine.datachannel.setup import Capacity
from tests.unit.sctp_network import DELAY, End, Network, answers, data_chunk, tell

PACKET = 1200
PART = 1172


def sending(count: int, **options: object) -> Network:
    """The client has so many packets to send, at no pace, and nothing arrives."""
    network = Network(**options).establish()  # type: ignore[arg-type]
    network.client.outbound.congestion.round_trip.shortest = 1e-6
    network.client.fate = lambda data: ()
    network.client.association.send(0, 53, bytes(PART * count), now=network.now)
    network.flush(network.client)
    return network


def tsns(packets: Iterable[bytes]) -> list[int]:
    return [int.from_bytes(value[:4], "big") for value in answers(packets, DATA)]


def acknowledge(network: Network, count: int, gaps: list[tuple[int, int]] | None = None, window: int = 1 << 20) -> list[int]:
    """The server has so many of the client's chunks; returns the TSNs that are sent then."""
    flight = network.client.outbound.flight
    first = network.client.association._life.identity.tsn
    assert flight.acknowledged < first + count
    return [tsn - first for tsn in tsns(tell(network, network.client, sack_chunk(first + count - 1, window, gaps or [], [])))]


def test_the_first_window_is_that_of_the_rfc() -> None:
    network = sending(80)
    assert network.client.outbound.congestion.window == 4404
    assert network.client.outbound.flight.size == 4 * PART


def test_slow_start_opens_the_window_by_what_is_acknowledged() -> None:
    network = sending(200)
    sizes = []
    for count in (4, 12, 28):
        network.now += DELAY
        acknowledge(network, count)
        sizes.append(network.client.outbound.flight.size // PART)
    assert sizes == [8, 16, 32]


def test_a_window_that_is_not_used_does_not_grow() -> None:
    network = sending(1)
    before = network.client.outbound.congestion.window
    network.now += DELAY
    acknowledge(network, 1)
    assert network.client.outbound.congestion.window == before


def test_congestion_avoidance_adds_a_packet_a_window() -> None:
    network = sending(200)
    congestion = network.client.outbound.congestion
    congestion.threshold = 2 * PACKET
    network.now += DELAY
    acknowledge(network, 4)
    assert congestion.window == 4404 + PACKET
    acknowledge(network, 6)
    assert congestion.window == 4404 + PACKET
    acknowledge(network, 9)
    assert congestion.window == 4404 + 2 * PACKET


def test_three_later_packets_make_one_lost_and_halve_the_window() -> None:
    network = sending(200)
    congestion = network.client.outbound.congestion
    for count in (4, 12, 27):
        network.now += DELAY
        acknowledge(network, count)
    before = congestion.window
    assert 27 not in acknowledge(network, 27, [(2, 2)])
    assert 27 not in acknowledge(network, 27, [(2, 3)])
    assert acknowledge(network, 27, [(2, 4)])[0] == 27
    assert congestion.window == congestion.threshold == before // 2
    assert congestion.recovering
    last = network.client.outbound.flight.last_tsn
    acknowledge(network, 27, [(2, 10)])
    assert congestion.window == before // 2
    network.now += DELAY
    acknowledge(network, last - network.client.association._life.identity.tsn + 1)
    assert not congestion.recovering


def test_one_sack_for_a_batch_counts_for_each_packet_of_it() -> None:
    network = sending(200)
    network.now += DELAY
    acknowledge(network, 4)
    assert acknowledge(network, 4, [(2, 4)])[0] == 4


def test_what_was_sent_again_and_is_overtaken_is_sent_again_without_waiting_for_t3() -> None:
    network = sending(200)
    network.now += DELAY
    acknowledge(network, 4)
    network.now += DELAY
    sent = acknowledge(network, 4, [(2, 5)])
    assert sent[0] == 4
    network.now += DELAY
    sent = acknowledge(network, 4, [(2, 8)])
    assert 4 not in sent, "what was acknowledged was sent before"
    network.now += DELAY
    last = network.client.outbound.flight.last_tsn - network.client.association._life.identity.tsn
    assert 4 in acknowledge(network, 4, [(2, last - 3)])


def test_two_packets_in_another_order_are_no_loss() -> None:
    network = sending(200)
    network.now += DELAY
    acknowledge(network, 4)
    acknowledge(network, 4, [(2, 3)])
    acknowledge(network, 7)
    assert not network.client.outbound.congestion.recovering
    assert len(tsns(network.client.sent)) == len(set(tsns(network.client.sent)))


def test_t3_sends_one_packet_again_and_backs_off_up_to_its_maximum() -> None:
    network = sending(80)
    client = network.client
    times, before = [network.now], len(client.sent)
    while not client.closed:
        network.now = client.outbound.t3
        client.association.on_timer(network.now)
        network.flush(client)
        times.append(network.now)
    resent = tsns(client.sent[before:])
    assert resent == [client.association._life.identity.tsn & 0xFFFFFFFF] * 10
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == pytest.approx([min(RTO_MAX, RTO_MIN * 2**number) for number in range(11)], rel=0.01)
    assert client.closed == ["the peer does not acknowledge what is sent"]
    assert client.association.deadline is None


def test_after_t3_all_that_is_missing_goes_out_again_in_slow_start() -> None:
    network = sending(80)
    network.now += DELAY
    acknowledge(network, 4)
    congestion = network.client.outbound.congestion
    network.now = network.client.outbound.t3
    network.client.association.on_timer(network.now)
    network.flush(network.client)
    assert congestion.window == PACKET
    assert congestion.threshold == 4 * PACKET
    assert network.client.outbound.flight.size == PART
    acknowledge(network, 5)
    assert network.client.outbound.flight.size == 2 * PART


def test_what_a_peer_takes_back_is_sent_again_after_t3() -> None:
    network = sending(80)
    acknowledge(network, 1, [(2, 3)])
    acknowledge(network, 1)
    network.run(lambda: network.client.outbound.failures == 1, seconds=2)
    first = network.client.association._life.identity.tsn
    assert [fragment.tsn - first for fragment in network.client.outbound.flight.lost][:2] == [2, 3]


def test_the_window_of_the_peer_is_never_exceeded() -> None:
    network = sending(80)
    acknowledge(network, 4, window=3000)
    assert network.client.outbound.flight.size == 2 * PART


def test_a_shut_window_is_asked_one_chunk_at_a_time_for_as_long_as_it_takes() -> None:
    network = sending(80)
    acknowledge(network, 4, window=0)
    client = network.client
    assert client.outbound.flight.size == PART
    for _ in range(30):
        assert client.association.deadline is not None
        network.now = client.association.deadline
        client.association.on_timer(network.now)
        network.flush(client)
        assert client.outbound.flight.size == PART
        acknowledge(network, 4, window=0)
    assert not client.closed
    assert client.outbound.flight.size == PART
    acknowledge(network, 5)
    assert client.outbound.flight.size > PART


def test_a_receiver_whose_gaps_are_full_shuts_its_window() -> None:
    network = Network(receive_window=100_000, max_message=50_000).establish()
    server = network.server
    tsn = server.inbound.tsn + 1
    windows = []
    for number in range(1, 100):
        sent = tell(network, server, data_chunk(tsn + number, FIRST | LAST, 0, number, bytes(1172)))
        windows.append(parse_sack(answers(sent, SACK)[-1])[1])
    assert windows == sorted(windows, reverse=True)
    assert windows[-1] < 1172 + 384
    ((_, last),) = server.inbound._ahead.blocks(2)
    for number in range(last - tsn + 1):
        if number == 0 or number > last:
            tell(network, server, data_chunk(tsn + number, FIRST | LAST, 0, number, bytes(1172)))
    assert server.inbound.window == 100_000
    assert len(server.messages) == last - tsn + 1


@pytest.mark.parametrize(("delay", "least"), [(0.0005, 15), (0.01, 10), (0.05, 3)])
def test_the_queue_on_the_way_is_bounded_and_the_path_is_filled(delay: float, least: int) -> None:
    """``least``: MB/s on a path of 20 MB/s with a queue for 250 KB, that drops what does not fit."""
    network = Network(receive_window=8 << 20)
    rate, room = 20e6, 250_000
    busy_until, dropped = [0.0], [0]

    def bottleneck(data: bytes) -> Iterable[float]:
        busy = max(busy_until[0], network.now)
        if (busy - network.now) * rate > room:
            dropped[0] += 1
            return ()
        busy_until[0] = busy + len(data) / rate
        return (busy_until[0] - network.now + delay,)

    network.client.fate = bottleneck
    network.server.fate = lambda data: (delay,)
    network.establish()
    start, total = network.now, 8 << 20
    for _ in range(total // 65_536):
        network.client.association.send(0, 53, bytes(65_536), now=network.now)
    network.run(lambda: len(network.server.messages) == total // 65_536)
    assert total / (network.now - start) / 1e6 > least
    assert dropped[0] * PACKET < 2 * delay * rate + room, "no more than slow start overshoots once"


def test_a_window_that_opens_wide_is_not_emptied_at_once() -> None:
    network = Network().establish()
    client = network.client
    for _ in range(3):
        client.association.send(0, 53, bytes(250_000), now=network.now)
        network.run(lambda: client.outbound.idle)
        network.run(seconds=1)
    assert client.outbound.congestion.window > 60 * PACKET
    client.association.send(0, 53, bytes(250_000), now=network.now)
    before = len(client.sent)
    network.flush(client)
    allowed = max(10, 2.5 * client.outbound.congestion.window / PACKET * TIMER / (2 * DELAY))
    assert len(client.sent) - before <= allowed
    assert client.association.deadline is not None
    assert client.association.deadline - network.now < 0.02
    network.run(lambda: len(network.server.messages) == 4)


def acknowledged(network: Network, end: End) -> int:
    return len(answers(end.sent, SACK))


def test_a_batch_is_acknowledged_once_and_a_single_packet_after_a_moment() -> None:
    network = Network(capacity=Capacity(PACKET)).establish()
    server, tsn = network.server, network.server.inbound.tsn + 1
    assert not answers(tell(network, server, data_chunk(tsn, FIRST | LAST, 0, 0, b"x")), SACK)
    assert server.association.deadline == network.now + SACK_DELAY
    network.run(seconds=SACK_DELAY)
    assert acknowledged(network, server) == 1
    assert answers(tell(network, server, data_chunk(tsn + 1, FIRST | LAST | AT_ONCE, 0, 1, b"x")), SACK)
    for number in range(2, 22):
        part = data_chunk(tsn + number, FIRST | LAST, 0, number, b"x")
        network.server.association.receive(network_packet(server, part), network.now)
    server.association.end_batch(network.now)
    network.flush(server)
    assert acknowledged(network, server) == 3


def test_others_get_an_acknowledgement_for_three_packets_each_in_one_of_its_own() -> None:
    network = Network().establish()
    server, first = network.server, network.server.inbound.tsn + 1
    for number in range(20):
        part = data_chunk(first + number, FIRST | LAST, 0, number, b"x")
        server.association.receive(network_packet(server, part), network.now)
    server.association.end_batch(network.now)
    sent = server.association.take_packets(network.now, 64)
    told = [[parse_sack(value)[0] - first + 1 for value in answers([each], SACK)] for each in sent]
    assert told == [[3], [6], [9], [12], [15], [18], [20]]


def network_packet(end: End, part: bytes) -> bytes:
    return packet(end.association._expects, [part])


def test_an_answer_takes_the_acknowledgement_along() -> None:
    network = Network().establish()
    server = network.server
    server.association.send(0, 53, b"answer", now=network.now)
    network.flush(server)
    server.association.send(0, 53, b"answer", now=network.now)
    sent = tell(network, server, data_chunk(server.inbound.tsn + 1, FIRST | LAST, 0, 0, b"x"))
    assert len(sent) == 1
    assert answers(sent, SACK)
    assert answers(sent, DATA)


def test_gaps_are_told_at_once() -> None:
    network = Network().establish()
    server, tsn = network.server, network.server.inbound.tsn + 1
    for number, expected in ((1, [(2, 2)]), (2, [(2, 3)]), (5, [(2, 3), (6, 6)])):
        (sack,) = answers(tell(network, server, data_chunk(tsn + number, FIRST | LAST, 0, number, b"x")), SACK)
        assert parse_sack(sack)[2] == expected
    (sack,) = answers(tell(network, server, data_chunk(tsn, FIRST | LAST, 0, 0, b"x")), SACK)
    assert parse_sack(sack)[0] == (tsn + 2) & 0xFFFFFFFF
    assert parse_sack(sack)[2] == [(3, 3)]


def test_probes_are_answered_if_the_path_carries_them() -> None:
    network = Network().establish()
    network.client.fate = lambda data: (DELAY,) if len(data) <= 9000 else ()
    for size in (1280, 9003, 9004, 16_000):
        network.client.association.probe(size)
    network.run(seconds=2)
    assert network.client.of(ProbeAcknowledged) == [ProbeAcknowledged(1280), ProbeAcknowledged(9000)]
    assert [len(each) for each in network.client.sent[-4:]] == [1280, 9000, 9004, 16_000]


def test_the_packet_size_changes_in_the_middle_of_a_message() -> None:
    network = Network().establish()
    client = network.client
    client.association.send(0, 53, bytes(200_000), now=network.now)
    for size in (9000, 1200, 16_352, 600):
        network.run(seconds=0.03)
        client.association.packet_size = size
    client.association.send(0, 53, bytes(200_000), now=network.now)
    network.run(lambda: len(network.server.messages) == 2)
    assert network.server.messages == [(0, 53, bytes(200_000))] * 2
    assert max(map(len, client.sent[-20:])) == 600
    with pytest.raises(ValueError, match="packets of 100 bytes"):
        client.association.packet_size = 100
