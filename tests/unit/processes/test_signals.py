"""Interrupts wait for the moment that was chosen, and none is lost."""

from __future__ import annotations

import signal
import threading

import pytest

from bench.processes.signals import held

pytestmark = pytest.mark.usefixtures("interruptible")


def test_an_interrupt_waits_for_the_moment() -> None:
    done = []

    def work() -> None:
        with held() as released:
            released()
            signal.raise_signal(signal.SIGINT)
            done.append("what was begun")
            released()
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["what was begun"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_no_moment_came_for_is_handled_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_another_is_called_with_the_number() -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with held() as released:
            signal.raise_signal(signal.SIGTERM)
            assert heard == []
            released()
            assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_held() -> None:
    seen = []

    def work() -> None:
        with held() as released:
            released()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
