"""A worker's memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

from bench.processes.resources import speaks_of_memory

# Page faults per turn of freeing and asking for six blocks of 1 MiB, as an inference does with its results.
CHURN = """
import os, resource
from bench.worker import __main__ as worker

def churn(wire=None):
    def faults(turns):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(turns):
            blocks = [bytearray(1 << 20) for _ in range(6)]
            del blocks
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / turns
    faults(5)
    print(faults(50))

worker.Wire, worker.serve = int, churn
"""
PLAIN = "churn()"
SERVING = 'worker.main(["--serve", "0", str(os.getppid())])'


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told so")
def test_a_worker_keeps_freed_memory_for_the_next_inference() -> None:
    plain, serving = (_faults(how) for how in (PLAIN, SERVING))
    assert plain > 3 * 2**20 / resource.getpagesize()  # what glibc does by itself: all six blocks anew
    assert serving < 10


def _faults(how: str) -> float:
    ended = subprocess.run([sys.executable, "-c", CHURN + how], capture_output=True, text=True, check=True)
    return float(ended.stdout)


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("std::bad_alloc", True),
        ("SystemError: <function _find_and_load at 0x7f> returned NULL without setting an exception", True),
        ("SystemError: error return without exception set", True),
        ("no kernel for this operation", False),
    ],
)
def test_how_runtimes_say_that_memory_ran_out(text: str, speaks: bool) -> None:
    assert speaks_of_memory(text) is speaks
