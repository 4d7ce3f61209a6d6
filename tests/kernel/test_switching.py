"""Our threads get their turn soon while there is an engine; the interval is the user's again after it (test process)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from forge_rtc_nb.kernel.engine_client import engines
from forge_rtc_nb.kernel.switching import INTERVAL, PromptSwitching, prompt_switching
from tests.support import wait_for


@pytest.fixture(autouse=True)
def usual() -> Iterator[float]:
    """Without the engine of the tests before, which a stream that was read lately keeps a while."""
    wait_for(lambda: prompt_switching.users == 0, 30, "no engine is left")
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield 0.005
    sys.setswitchinterval(before)


def test_it_is_short_while_there_is_an_engine(usual: float) -> None:
    first, second = engines.acquire(), engines.acquire()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL)
    first.release()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL)
    second.release()
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_a_shorter_one_of_the_users_stays() -> None:
    switching = PromptSwitching()
    sys.setswitchinterval(INTERVAL / 10)
    switching.begin()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL / 10)
    switching.end()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL / 10)


def test_one_that_the_user_sets_meanwhile_stays() -> None:
    switching = PromptSwitching()
    switching.begin()
    sys.setswitchinterval(0.02)
    switching.end()
    assert sys.getswitchinterval() == pytest.approx(0.02)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_the_users(usual: float) -> None:
    client = engines.acquire()
    try:
        child = os.fork()
        if child == 0:
            os._exit(int(sys.getswitchinterval() * 1000))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    finally:
        client.release()
