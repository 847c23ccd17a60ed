"""What LiteRT's own profiler sees of a model file, in a process of its own:

    python -P -m backends.litert.profile MODEL THREADS     one line of JSON: `runs`

The interpreter that Python has cannot be profiled. LiteRT's C API can (`libLiteRt.so` of the same package,
declared in litert/c/*.h): it is loaded here by ctypes, apart, so that a version whose calls differ ends this
process and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.support.profiles import PROFILED
from bench.processes.answers import heard, say

LIMIT_S = 240.0
CPU = 1  # kLiteRtHwAcceleratorCpu
WRITE = 1  # kLiteRtTensorBufferLockModeWrite
RANKED_TYPE_BYTES = 1024  # room for a LiteRtRankedTensorType, which is handed on as it comes
# A line of the summary's table in run order: node type, start, first and average ms, shares, KB, calls, name.
LINE = re.compile(r"\s*(\S.*?)(?:\s+[\d.]+){2}\s+([\d.]+)(?:\s+[\d.]+%){2}\s+[\d.]+\s+\d+\s+(\S.*)")

Line = tuple[str, str, float]  # node type, name, ns


def runs(model: Path, threads: int) -> list[list[Line]]:
    """The operations of each of a few runs; empty where this LiteRT cannot be asked."""
    command = [sys.executable, "-P", "-m", "backends.litert.profile", str(model), str(threads)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=True, env=environment
        )
        return [[(*line,) for line in run] for run in heard(done.stdout) or ()]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return []


def summaries(model: Path, threads: int) -> list[str]:
    """The profiler's summary of each of a few runs, a first left out. RuntimeError where a call fails."""
    package = find_spec("ai_edge_litert")
    if package is None or package.origin is None:
        raise RuntimeError("ai_edge_litert is not installed")
    library = ctypes.CDLL(str(Path(package.origin).with_name("libLiteRt.so")))

    def call(name: str, *arguments: Any) -> None:
        status = getattr(library, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} answers {status}")

    def made(name: str, *arguments: Any) -> ctypes.c_void_p:
        """What a call puts where its last argument points."""
        handle = ctypes.c_void_p()
        call(name, *arguments, ctypes.byref(handle))
        return handle

    nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _address: None)
    options = made("LiteRtCreateOptions")
    call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    texts = {  # TOML, not copied by the library
        b"runtime_options_string": b"enable_profiling = true\n",
        b"xnnpack": b"num_threads = %d\n" % threads,
    }
    for identifier, text in texts.items():
        call("LiteRtAddOpaqueOptions", options, made("LiteRtCreateOpaqueOptions", identifier, text, nothing))
    environment = made("LiteRtCreateEnvironment", 0, None)
    file = made("LiteRtCreateModelFromFile", environment, os.fsencode(model))
    compiled = made("LiteRtCreateCompiledModel", environment, file, options)
    signature = ctypes.c_size_t(0)
    graph = made("LiteRtGetModelSubgraph", file, signature)

    def buffers(side: str) -> Any:
        count = ctypes.c_size_t()
        call(f"LiteRtGetNumSubgraph{side}s", graph, ctypes.byref(count))
        handles = (ctypes.c_void_p * count.value)()
        for i in range(count.value):
            place = ctypes.c_size_t(i)
            shape = ctypes.create_string_buffer(RANKED_TYPE_BYTES)
            call("LiteRtGetRankedTensorType", made(f"LiteRtGetSubgraph{side}", graph, place), shape)
            needs = made(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, signature, place)
            handle = made("LiteRtCreateManagedTensorBufferFromRequirements", environment, shape, needs)
            size = ctypes.c_size_t()
            call("LiteRtGetTensorBufferSize", handle, ctypes.byref(size))
            address = ctypes.c_void_p()
            call("LiteRtLockTensorBuffer", handle, ctypes.byref(address), WRITE)
            ctypes.memset(address, 0, size.value)
            call("LiteRtUnlockTensorBuffer", handle)
            handles[i] = handle.value
        return handles

    inputs, outputs = buffers("Input"), buffers("Output")
    profiler = made("LiteRtCompiledModelGetProfiler", compiled)
    sizes = [ctypes.c_size_t(len(handles)) for handles in (inputs, outputs)]
    found: list[str] = []
    for _ in range(1 + PROFILED):
        call("LiteRtResetProfiler", profiler)
        call("LiteRtStartProfiler", profiler)
        call("LiteRtRunCompiledModel", compiled, signature, sizes[0], inputs, sizes[1], outputs)
        call("LiteRtStopProfiler", profiler)
        summary = made("LiteRtGetProfileSummary", profiler, compiled).value
        found.append(ctypes.string_at(summary).decode() if summary else "")
    return found[1:]


def lines(text: str) -> list[Line]:
    """The operations of a summary, in run order."""
    table = text.partition("Run Order")[2].partition("Top by")[0]
    found = (LINE.fullmatch(line) for line in table.splitlines())
    return [(match[1], match[3], float(match[2]) * 1e6) for match in found if match]


if __name__ == "__main__":
    say([lines(text) for text in summaries(Path(sys.argv[1]), int(sys.argv[2]))])
    os._exit(0)  # nothing is taken down: a foreign library's ends are not this process's matter
