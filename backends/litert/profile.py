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


class Profiled:
    """A model file that is compiled with its profiler on, and arrays of zeros to run it with. RuntimeError
    where a call fails.

    Everything that the library is handed stays with this object: of the texts it keeps no copy.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self._library = _library()
        self._nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _address: None)
        self._texts = {  # TOML
            b"runtime_options_string": b"enable_profiling = true\n",
            b"xnnpack": b"num_threads = %d\n" % threads,
        }
        self._signature = ctypes.c_size_t(0)
        options = self._options()
        self._environment = self._made("LiteRtCreateEnvironment", 0, None)
        self._file = self._made("LiteRtCreateModelFromFile", self._environment, os.fsencode(model))
        self._compiled = self._made("LiteRtCreateCompiledModel", self._environment, self._file, options)
        self._graph = self._made("LiteRtGetModelSubgraph", self._file, self._signature)
        self._inputs, self._outputs = self._buffers("Input"), self._buffers("Output")
        self._profiler = self._made("LiteRtCompiledModelGetProfiler", self._compiled)

    def summary(self) -> str:
        """Of one run."""
        buffers = [(ctypes.c_size_t(len(one)), one) for one in (self._inputs, self._outputs)]
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self._call("LiteRtRunCompiledModel", self._compiled, self._signature, *buffers[0], *buffers[1])
        self._call("LiteRtStopProfiler", self._profiler)
        text = self._made("LiteRtGetProfileSummary", self._profiler, self._compiled).value
        return ctypes.string_at(text).decode() if text else ""

    def _options(self) -> ctypes.c_void_p:
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        for identifier, text in self._texts.items():
            opaque = self._made("LiteRtCreateOpaqueOptions", identifier, text, self._nothing)
            self._call("LiteRtAddOpaqueOptions", options, opaque)
        return options

    def _buffers(self, side: str) -> Any:
        """Of all inputs or outputs, zeroed."""
        count = self._size(f"LiteRtGetNumSubgraph{side}s", self._graph)
        handles = (ctypes.c_void_p * count)()
        for i in range(count):
            place = ctypes.c_size_t(i)
            shape = ctypes.create_string_buffer(RANKED_TYPE_BYTES)
            tensor = self._made(f"LiteRtGetSubgraph{side}", self._graph, place)
            self._call("LiteRtGetRankedTensorType", tensor, shape)
            requirements = f"LiteRtGetCompiledModel{side}BufferRequirements"
            needs = self._made(requirements, self._compiled, self._signature, place)
            make = "LiteRtCreateManagedTensorBufferFromRequirements"
            handle = self._made(make, self._environment, shape, needs)
            size = self._size("LiteRtGetTensorBufferSize", handle)
            address = ctypes.c_void_p()
            self._call("LiteRtLockTensorBuffer", handle, ctypes.byref(address), WRITE)
            ctypes.memset(address, 0, size)
            self._call("LiteRtUnlockTensorBuffer", handle)
            handles[i] = handle.value
        return handles

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} answers {status}")

    def _made(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """What a call puts where its last argument points."""
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _size(self, name: str, *arguments: Any) -> int:
        """The number that a call puts there."""
        size = ctypes.c_size_t()
        self._call(name, *arguments, ctypes.byref(size))
        return size.value


def _library() -> ctypes.CDLL:
    package = find_spec("ai_edge_litert")
    if package is None or package.origin is None:
        raise RuntimeError("ai_edge_litert is not installed")
    return ctypes.CDLL(str(Path(package.origin).with_name("libLiteRt.so")))


def summaries(model: Path, threads: int) -> list[str]:
    """The profiler's summary of each of a few runs, a first left out. RuntimeError where a call fails."""
    profiled = Profiled(model, threads)
    return [profiled.summary() for _ in range(1 + PROFILED)][1:]


def lines(text: str) -> list[Line]:
    """The operations of a summary, in run order."""
    table = text.partition("Run Order")[2].partition("Top by")[0]
    found = (LINE.fullmatch(line) for line in table.splitlines())
    return [(match[1], match[3], float(match[2]) * 1e6) for match in found if match]


if __name__ == "__main__":
    say([lines(text) for text in summaries(Path(sys.argv[1]), int(sys.argv[2]))])
    os._exit(0)  # nothing is taken down: a foreign library's ends are not this process's matter
