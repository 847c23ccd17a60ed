"""What NVIDIA's driver tells and does without any runtime: GPUs, a stream, and events that time its work.

`libcuda.so.1` comes with the driver, and its functions keep their names and arguments from version to version
(CUDA Driver API). A stream of it is a stream of the CUDA runtime too: both work in the GPU's primary context.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import byref, c_float, c_int, c_uint, c_void_p
from typing import Any

LIBRARY = "libcuda.so.1"
NON_BLOCKING = c_uint(1)  # CU_STREAM_NON_BLOCKING: it waits for nobody's default stream
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


class NoDriver(Exception):
    """Why CUDA cannot be used, in the driver's words or the loader's."""


@functools.cache
def driver() -> Any:
    """The library, ready. Raises NoDriver."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NoDriver(f"NVIDIA's driver is not here ({error})") from error
    _done(library, "cuInit", c_uint(0))
    return library


def capabilities() -> list[tuple[int, int]]:
    """Compute capability of each GPU that this process sees. Raises NoDriver."""
    library, count = driver(), c_int()
    _done(library, "cuDeviceGetCount", byref(count))
    found = []
    for place in range(count.value):
        device, major, minor = c_int(), c_int(), c_int()
        _done(library, "cuDeviceGet", byref(device), c_int(place))
        _done(library, "cuDeviceGetAttribute", byref(major), c_int(MAJOR), device)
        _done(library, "cuDeviceGetAttribute", byref(minor), c_int(MINOR), device)
        found.append((major.value, minor.value))
    return found


class Clock:
    """A stream of one's own, and events at both ends of what is put on it."""

    def __init__(self, place: int = 0, library: Any = None) -> None:
        self._library = library or driver()
        self._device, self._context, self.stream = c_int(), c_void_p(), c_void_p()
        self._begin, self._end, self._ms = c_void_p(), c_void_p(), c_float()
        self._call("cuDeviceGet", byref(self._device), c_int(place))
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), self._device)
        self._call("cuCtxSetCurrent", self._context)
        self._call("cuStreamCreate", byref(self.stream), NON_BLOCKING)
        for event in (self._begin, self._end):
            self._call("cuEventCreate", byref(event), c_uint(0))
        self._record, self._wait = self._library.cuEventRecord, self._library.cuStreamSynchronize

    def begin(self) -> None:
        self._record(self._begin, self.stream)

    def end(self) -> None:
        """Returns when all that was put on the stream is done. Raises NoDriver where that failed."""
        self._record(self._end, self.stream)
        if code := self._wait(self.stream):
            raise NoDriver(f"cuStreamSynchronize failed with CUDA error {code}")

    def ns(self) -> int:
        """Between the last begin and end, by the GPU's clock (it resolves about 500 ns)."""
        self._call("cuEventElapsedTime", byref(self._ms), self._begin, self._end)
        return round(self._ms.value * 1e6)

    def close(self) -> None:
        self._call("cuEventDestroy_v2", self._begin)
        self._call("cuEventDestroy_v2", self._end)
        self._call("cuStreamDestroy_v2", self.stream)
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _call(self, name: str, *arguments: Any) -> None:
        _done(self._library, name, *arguments)


def _done(library: Any, name: str, *arguments: Any) -> None:
    if code := getattr(library, name)(*arguments):
        raise NoDriver(f"{name} failed with CUDA error {code}")
