"""Who uses the cache: runs share it from preparing to the last measurement, pruning has it for itself.

The lock is the kernel's (flock) on a file at the top of the cache, so it is free the moment its holder dies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from bench.files import flock
from bench.files.paths import cache_root, writing
from bench.interfaces.errors import BakeoffError, UsageError
from bench.machine.lock import measurement_lock

NAME = ".in-use"


@contextmanager
def shared() -> Iterator[None]:
    """While it is open nothing is pruned. Waits for a pruning that goes on; that takes moments.

    A cache that this user cannot write to is used without: who cannot write cannot prune.
    """
    descriptor = -1
    with suppress(OSError):
        descriptor = _open()
        flock.take(descriptor, shared=True)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


@contextmanager
def alone() -> Iterator[None]:
    """While it is open nobody prepares or measures with this cache, and nobody measures on this machine, whom
    deleting gigabytes would disturb.

    Raises:
        UsageError: somebody does.
        PrepareError: the cache cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(measurement_lock(wait=False))
        except BakeoffError as error:
            raise UsageError(f"nothing is pruned: {error.message}", hint=error.hint) from None
        with writing():
            stack.callback(os.close, descriptor := _open())
            if not flock.take(descriptor, wait=False):
                raise UsageError(
                    f"nothing is pruned: a run that uses {cache_root()} is going on",
                    hint=f"let it end; to see what it is: fuser -v {cache_root() / NAME}",
                )
        yield


def _open() -> int:
    cache_root().mkdir(parents=True, exist_ok=True)
    return os.open(cache_root() / NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
