"""Interrupts that wait for a moment at which nothing is half begun."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ASKED_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Calling what it yields is such a moment: interrupts that came before it are handled there, the others
    at the end, by the handlers that were set before, whose exceptions come out.

    A KeyboardInterrupt may fall between any two instructions: after a process was started and before anybody
    holds it. Signals reach Python in the main thread alone; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    found = {number: signal.getsignal(number) for number in ASKED_TO_END}
    handlers = {int(number): handler for number, handler in found.items() if callable(handler)}

    def release() -> None:
        while waiting:
            number = waiting.pop(0)
            handlers[number](number, None)

    for number in handlers:
        signal.signal(number, wait)
    try:
        yield release
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        release()
