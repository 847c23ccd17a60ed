"""Signals of a terminal, a shell and an init process while a run is watched."""

from __future__ import annotations

import io
import os
import select
import signal
from collections.abc import Iterator
from typing import cast

import pytest
from rich.console import Console

from bench.cli import watch
from bench.measure import link

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """As they were."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_others_ends_as_ctrl_c_does(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), watch._terminated_like_interrupted():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_under_nohup_a_hang_up_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with watch._terminated_like_interrupted():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    except KeyboardInterrupt:
        pytest.fail("interrupted")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_ctrl_z_gives_the_cursor_back_and_fg_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    screen = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})  # CI's own is dumb
    said: list[str] = []

    def stopped(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGTSTP)
        assert signal.getsignal(number) is signal.SIG_DFL, "else it would come here again, and stop nothing"
        said.append(cast(io.StringIO, screen.file).getvalue())

    monkeypatch.setattr(watch.os, "kill", stopped)
    with watch.shown_while_stopped(screen):
        for _ in range(2):
            signal.raise_signal(signal.SIGTSTP)
    assert said == [SHOWN, SHOWN + HIDDEN + SHOWN]
    assert cast(io.StringIO, screen.file).getvalue() == (SHOWN + HIDDEN) * 2
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_where_no_shell_stops_jobs_nothing_is_changed() -> None:
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    with watch.shown_while_stopped(Console(file=io.StringIO(), force_terminal=True)):
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN


def test_an_answer_that_came_while_we_were_stopped_is_no_timeout() -> None:
    """The first look ends because the time has passed, as Python's poll does after a signal's handler."""

    class Late:
        looks = 0

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            assert timeout == 0
            self.looks += 1
            return [] if self.looks == 1 else [(7, select.POLLIN)]

    assert link._ready(cast(select.poll, Late()), 0.0) == [(7, select.POLLIN)]
