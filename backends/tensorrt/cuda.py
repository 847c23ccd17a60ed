"""As much of the CUDA runtime as a session of TensorRT needs, through ctypes.

Not through a binding package: libcudart alone is 2 to 4 MB, these functions are the same in CUDA 12 and 13,
and a worker then holds TensorRT and nothing else. Every call raises CudaError in CUDA's own words.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = ("libcudart.so.13", "libcudart.so.12")
TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind
NON_BLOCKING = 1  # cudaStreamNonBlocking: no waiting for the default stream
THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal: other threads may do as they like meanwhile
MAJOR, MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, …Minor
PROPERTIES = 8192  # bytes, more than any version's cudaDeviceProp; the name is its first field
P, SIZE, INT, UINT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint
SIGNATURES: dict[str, tuple[type, ...]] = {
    "cudaRuntimeGetVersion": (P,),
    "cudaDriverGetVersion": (P,),
    "cudaGetDeviceCount": (P,),
    "cudaSetDevice": (INT,),
    "cudaDeviceGetAttribute": (P, INT, INT),
    "cudaMalloc": (P, SIZE),
    "cudaFree": (P,),
    "cudaMallocHost": (P, SIZE),
    "cudaFreeHost": (P,),
    "cudaMemcpyAsync": (P, P, SIZE, INT, P),
    "cudaStreamCreateWithFlags": (P, UINT),
    "cudaStreamSynchronize": (P,),
    "cudaStreamDestroy": (P,),
    "cudaEventCreate": (P,),
    "cudaEventRecord": (P, P),
    "cudaEventElapsedTime": (P, P, P),
    "cudaEventDestroy": (P,),
    "cudaStreamBeginCapture": (P, INT),
    "cudaStreamEndCapture": (P, P),
    "cudaGraphInstantiateWithFlags": (P, P, ctypes.c_ulonglong),
    "cudaGraphDestroy": (P,),
    "cudaGraphLaunch": (P, P),
    "cudaGraphExecDestroy": (P,),
}


class CudaError(RuntimeError):
    """What the CUDA runtime answered instead of success."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """`capability`: (major, minor)."""

    name: str
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name}, compute capability {self.dotted}"

    @property
    def dotted(self) -> str:
        return ".".join(map(str, self.capability))


class Cuda:
    """The runtime's calls, checked. Addresses and handles are plain numbers."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, arguments in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, INT
        library.cudaGetErrorString.argtypes, library.cudaGetErrorString.restype = (INT,), ctypes.c_char_p

    def __call__(self, name: str, *arguments: object) -> None:
        if code := getattr(self._library, name)(*arguments):
            said = self._library.cudaGetErrorString(code).decode(errors="replace")
            raise CudaError(f"{name}: {said} (error {code})")

    def made(self, name: str, *arguments: object) -> int:
        """The handle or address that a function writes where its first argument points; 0 for a null one."""
        handle = P()
        self(name, ctypes.byref(handle), *arguments)
        return handle.value or 0

    def made_last(self, name: str, *arguments: object) -> int:
        """The same where it is the last argument that points."""
        handle = P()
        self(name, *arguments, ctypes.byref(handle))
        return handle.value or 0

    def number(self, name: str, *arguments: object) -> int:
        value = INT()
        self(name, ctypes.byref(value), *arguments)
        return value.value

    def versions(self) -> tuple[str, str]:
        """Of the runtime, and of the newest that the driver serves ('0.0' without a driver)."""
        runtime, driver = self.number("cudaRuntimeGetVersion"), self.number("cudaDriverGetVersion")
        return _dotted(runtime), _dotted(driver)

    def gpus(self) -> list[Gpu]:
        """All that this process sees. Raises CudaError where there is none."""
        return [self._gpu(i) for i in range(self.number("cudaGetDeviceCount"))]

    def _gpu(self, index: int) -> Gpu:
        # Since CUDA 12 the struct's newer layout has a name of its own; the first field is the same.
        newer = hasattr(self._library, "cudaGetDeviceProperties_v2")
        function = self._library["cudaGetDeviceProperties_v2" if newer else "cudaGetDeviceProperties"]
        properties = ctypes.create_string_buffer(PROPERTIES)
        name = "" if function(properties, INT(index)) else properties.value.decode(errors="replace")
        major, minor = (self.number("cudaDeviceGetAttribute", which, index) for which in (MAJOR, MINOR))
        return Gpu(name, (major, minor))

    def elapsed_ns(self, begin: int, end: int) -> int:
        """Between two events that were recorded and have passed (they resolve about 500 ns)."""
        milliseconds = ctypes.c_float()
        self("cudaEventElapsedTime", ctypes.byref(milliseconds), begin, end)
        return round(milliseconds.value * 1e6)


class Block:
    """Device memory that goes back to its pool when nobody holds it any more."""

    __slots__ = ("_pool", "address", "nbytes")

    def __init__(self, pool: Pool, address: int, nbytes: int) -> None:
        self._pool, self.address, self.nbytes = pool, address, nbytes

    def __del__(self) -> None:
        self._pool.back(self.address, self.nbytes)


class Pool:
    """Device memory that is taken again by size: to allocate takes long, and waits for the whole GPU."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._free: defaultdict[int, list[int]] = defaultdict(list)
        self._open = True

    def take(self, nbytes: int) -> Block:
        known = self._free[nbytes]
        return Block(self, known.pop() if known else self._cuda.made("cudaMalloc", max(1, nbytes)), nbytes)

    def back(self, address: int, nbytes: int) -> None:
        if self._open:
            self._free[nbytes].append(address)
        else:
            self._cuda("cudaFree", address)

    def close(self) -> None:
        """Frees what nobody holds; the rest is freed as it comes back."""
        self._open = False
        for addresses in self._free.values():
            for address in addresses:
                self._cuda("cudaFree", address)
        self._free.clear()


@functools.cache
def runtime() -> Cuda:
    """The newest that serves a GPU, else the newest that loads. Raises CudaError where none does."""
    loaded, tried = [], []
    for name in candidates(sys.path):
        try:
            loaded.append(Cuda(ctypes.CDLL(name)))
            loaded[-1].number("cudaGetDeviceCount")
            return loaded[-1]
        except (OSError, AttributeError, CudaError) as error:
            tried.append(str(error))
    if loaded:
        return loaded[0]
    raise CudaError(f"no CUDA runtime library was found ({'; '.join(tried)})")


def candidates(paths: Iterable[str]) -> Iterator[str]:
    """Where libcudart may be: beside the packages (`nvidia/cu13/lib`, before that `nvidia/cuda_runtime/lib`),
    then wherever the system looks."""
    for path in paths:
        folder = Path(path or ".") / "nvidia"
        found = sorted(folder.glob("*/lib/libcudart.so.*"), key=lambda one: one.name, reverse=True)
        yield from map(str, found)
    yield from NAMES


def _dotted(version: int) -> str:
    """13020 → 13.2"""
    return f"{version // 1000}.{version % 1000 // 10}"
