"""What goes to the engine arrives whole and in order, whoever sends it, whether the socket has room or not (test process)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from forge_rtc_nb.kernel.mailbox import Mailbox
from tests.support import wait_for


class Post:
    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.mailbox = Mailbox(self.near)
        self.thread = threading.Thread(target=self.mailbox.run)
        self.thread.start()

    def received(self, size: int) -> bytes:
        data = b""
        self.far.settimeout(10)
        while len(data) < size:
            data += self.far.recv(1 << 20)
        return data


@pytest.fixture
def post() -> Iterator[Post]:
    post = Post()
    yield post
    post.mailbox.close()
    post.far.close()
    post.thread.join(10)
    assert not post.thread.is_alive()
    post.near.close()


def numbered(sender: int, number: int) -> bytes:
    return sender.to_bytes(2, "big") + number.to_bytes(4, "big") + b"." * (number % 50 * 100)


def test_each_senders_messages_are_whole_and_in_order(post: Post, pool: ThreadPoolExecutor) -> None:
    count = 2000

    def send(sender: int) -> None:
        for number in range(count):
            post.mailbox.put(numbered(sender, number))

    sending = [pool.submit(send, sender) for sender in range(4)]
    send(4)  # the main thread, which never writes itself
    data = post.received(5 * sum(len(numbered(0, number)) for number in range(count)))
    for each in sending:
        each.result(10)
    seen, at = [0] * 5, 0
    while at < len(data):
        sender, number = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 6], "big")
        assert number == seen[sender]
        seen[sender] += 1
        at += len(numbered(sender, number))
    assert seen == [count] * 5


def test_a_full_socket_blocks_nobody_and_nothing_overtakes_what_waits(post: Post, pool: ThreadPoolExecutor) -> None:
    large, small = b"a" * (8 << 20), b"b" * 100
    pool.submit(post.mailbox.put, large).result(5)
    pool.submit(post.mailbox.put, small).result(5)
    post.mailbox.put(small)
    assert post.received(len(large) + 2 * len(small)) == large + small + small


def test_a_socket_whose_other_end_is_gone_is_no_error_here(post: Post, pool: ThreadPoolExecutor) -> None:
    post.far.close()
    pool.submit(post.mailbox.put, b"x").result(5)
    post.mailbox.put(b"x")
    wait_for(lambda: not post.thread.is_alive(), 10, "the thread has ended")


def test_what_the_collector_sends_amid_a_message_comes_after_it(pool: ThreadPoolExecutor) -> None:
    near, far = socket.socketpair()

    class Interrupted:
        """Takes three bytes, and is interrupted by the garbage collector, whose finalizers send something, too."""

        def send(self, data: bytes, flags: int) -> int:
            mailbox.put(b"finalizer")
            return near.send(data[:3], flags)

        def sendall(self, data: bytes) -> None:
            near.sendall(data)

    mailbox = Mailbox(Interrupted())  # type: ignore[arg-type]
    pool.submit(mailbox.put, b"message").result(10)
    mailbox.close()
    mailbox.run()
    near.close()
    with far:
        assert far.recv(100) == b"messagefinalizer"
