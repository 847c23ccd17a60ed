"""The kernel's locks on open files: free the moment their holder dies, however that happens.

One small rule over `flock(2)` and no library: who measures is read by a shared look that never creates the
file, readers of the cache share it, and each of them opens the file in a way of its own.
"""

from __future__ import annotations

import fcntl


def take(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Locks an open file until it is closed; False where another process has it and there is no waiting."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
