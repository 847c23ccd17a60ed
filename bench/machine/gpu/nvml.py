"""NVIDIA's management library (NVML): which GPUs there are, and a reading of one, as plain data.

Every function takes the library, `pynvml` or what answers like it, so that recorded answers stand in for a
machine. What a driver does not tell (in a container, of a virtual GPU, of an old card) is None, and nothing
else is lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench.interfaces.errors import BakeoffError

Library = Any  # the module `pynvml` of nvidia-ml-py
INSTALL = "pip install nvidia-ml-py"
# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h, 'nvmlClocksEventReasons') that slow a busy GPU down.
THROTTLES = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal (driver)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
}
LOOK_BACK_S = 1.0  # for what a process made of the GPU: drivers sample it a few times a second


class NoGpu(BakeoffError):
    """NVML tells of no GPU; the message says why, the hint what to do."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance that one is divided into (MIG).

    Attributes:
        index: in the order of the PCI bus, which NVML counts by; of an instance its number within its GPU.
        uuid: `GPU-…` or `MIG-…`.
        capability: compute capability, `9.0`; '' if not told.
        memory_bytes: all of it.
        power_limit_w: what the driver holds it to.
        sm_mhz, memory_mhz: the highest clocks.
        instances: what it is divided into; whoever names the GPU gets the first.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None
    capability: str = ""
    power_limit_w: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    instances: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """What NVML is part of, and what it found. `cuda` is the newest CUDA that the driver serves, `13.0`."""

    version: str
    cuda: str
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A GPU at one moment.

    Attributes:
        at_ns: `time.monotonic_ns()`, which all processes of a machine share.
        power_w, energy_j: drawn now, and since the driver was loaded.
        sm_mhz, memory_mhz, temperature_c: clocks and temperature.
        throttle: bits of what holds the clocks back; see `THROTTLES`.
        utilisation: share of the last sampling period in which any kernel ran.
        used_bytes: of its memory, by all processes.
        processes: id in the driver's own namespace → bytes, None where they are not told.
        busy: id → share of the last sampling periods in which its kernels ran.
    """

    at_ns: int
    power_w: float | None = None
    energy_j: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: float | None = None
    throttle: int | None = None
    utilisation: float | None = None
    used_bytes: int | None = None
    processes: Mapping[int, int | None] = field(default_factory=dict)
    busy: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reading:
        """From JSON, whose keys are texts."""
        keyed = {name: {int(pid): one for pid, one in data[name].items()} for name in ("processes", "busy")}
        return cls(**{**data, **keyed})


@contextmanager
def opened(library: Library = None) -> Iterator[Library]:
    """NVML between its beginning and its end. Raises NoGpu with why it does not begin."""
    nvml = library or _imported()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise _explained(error) from error
    try:
        yield nvml
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _imported() -> Library:
    try:
        import pynvml
    except ImportError:
        text = "NVIDIA's management library cannot be asked: nvidia-ml-py is missing"
        raise NoGpu(text, hint=INSTALL) from None
    return pynvml


def _explained(error: Exception) -> NoGpu:
    """Why NVML does not begin, in words that name the mend."""
    name = type(error).__name__.removeprefix("NVMLError_")
    match name:
        case "LibraryNotFound":
            return NoGpu("no NVIDIA driver: libnvidia-ml.so is not there")
        case "DriverNotLoaded":
            return NoGpu(
                "the NVIDIA driver is installed and not loaded", hint="sudo modprobe nvidia; dmesg | tail"
            )
        case "NoPermission":
            return NoGpu(
                "no permission for /dev/nvidia*", hint="ls -l /dev/nvidia*; in a container: --gpus all"
            )
        case "LibRmVersionMismatch" | "Lib_rm_version_mismatch":
            return NoGpu(
                "the NVIDIA driver was upgraded while its old module is loaded", hint="restart the machine"
            )
    return NoGpu(f"NVML does not begin: {error or name}", hint="nvidia-smi")


def driver(library: Library) -> Driver:
    """Versions and GPUs. Raises NoGpu where the driver has none."""
    count = _told(library, library.nvmlDeviceGetCount) or 0
    gpus = [gpu for index in range(count) if (gpu := _gpu(library, index)) is not None]
    if not gpus:
        raise NoGpu("the NVIDIA driver shows no GPU", hint="nvidia-smi; in a container: --gpus all")
    cuda = _told(library, library.nvmlSystemGetCudaDriverVersion)
    version = _text(_told(library, library.nvmlSystemGetDriverVersion))
    return Driver(version, f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "", tuple(gpus))


def _gpu(library: Library, index: int) -> Gpu | None:
    """None for one that has fallen off the bus."""
    handle = _told(library, library.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return None
    found = _facts(library, handle, index)
    mode = _told(library, library.nvmlDeviceGetMigMode, handle)
    if not mode or not mode[0]:
        return found
    most = _told(library, library.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    handles = [_told(library, library.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in range(most)]
    instances = [_facts(library, one, i) for i, one in enumerate(handles) if one is not None]
    return Gpu(**{**_fields(found), "instances": tuple(instances)})


def _fields(gpu: Gpu) -> dict[str, Any]:
    return {name: getattr(gpu, name) for name in Gpu.__dataclass_fields__}


def _facts(library: Library, handle: Any, index: int) -> Gpu:
    memory = _told(library, library.nvmlDeviceGetMemoryInfo, handle)
    capability = _told(library, library.nvmlDeviceGetCudaComputeCapability, handle)
    limit = _told(library, library.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Gpu(
        index=index,
        uuid=_text(_told(library, library.nvmlDeviceGetUUID, handle)),
        name=_text(_told(library, library.nvmlDeviceGetName, handle)) or "an NVIDIA GPU",
        memory_bytes=int(memory.total) if memory else None,
        capability=".".join(map(str, capability)) if capability else "",
        power_limit_w=limit / 1e3 if limit else None,
        sm_mhz=_told(library, library.nvmlDeviceGetMaxClockInfo, handle, library.NVML_CLOCK_SM),
        memory_mhz=_told(library, library.nvmlDeviceGetMaxClockInfo, handle, library.NVML_CLOCK_MEM),
    )


def handle_of(library: Library, uuid: str) -> Any:
    """What NVML takes for a GPU or an instance. Raises NoGpu where it is there no longer."""
    try:
        return library.nvmlDeviceGetHandleByUUID(uuid)
    except library.NVMLError as error:
        raise NoGpu(f"{uuid} is not to be found ({error})", hint="nvidia-smi -L") from error


def read(library: Library, handle: Any) -> Reading:
    """A reading. Raises NoGpu where the driver or the GPU has gone: then nothing at all is told."""
    power = _told(library, library.nvmlDeviceGetPowerUsage, handle)
    energy = _told(library, library.nvmlDeviceGetTotalEnergyConsumption, handle)
    memory = _told(library, library.nvmlDeviceGetMemoryInfo, handle)
    rates = _told(library, library.nvmlDeviceGetUtilizationRates, handle)
    processes = _told(library, library.nvmlDeviceGetComputeRunningProcesses, handle)
    since_us = int((time.time() - LOOK_BACK_S) * 1e6)  # NVML's time of a sample, by its driver's wall clock
    busy = _told(library, library.nvmlDeviceGetProcessUtilization, handle, since_us)
    found = Reading(
        at_ns=time.monotonic_ns(),
        power_w=None if power is None else power / 1e3,
        energy_j=None if energy is None else energy / 1e3,
        sm_mhz=_told(library, library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_SM),
        memory_mhz=_told(library, library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_MEM),
        temperature_c=_told(library, library.nvmlDeviceGetTemperature, handle, library.NVML_TEMPERATURE_GPU),
        throttle=_throttle(library, handle),
        utilisation=None if rates is None else rates.gpu / 100,
        used_bytes=int(memory.used) if memory else None,
        processes={int(one.pid): one.usedGpuMemory for one in processes or ()},
        busy={int(one.pid): one.smUtil / 100 for one in busy or ()},
    )
    nothing = (found.power_w, found.energy_j, found.sm_mhz, found.temperature_c, found.used_bytes)
    if all(value is None for value in nothing):
        raise NoGpu("the GPU answers no more", hint="nvidia-smi; dmesg | grep -i xid")
    return found


def _throttle(library: Library, handle: Any) -> int | None:
    """What holds the clocks back; drivers before 535 know it by its older name."""
    for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
        question = getattr(library, name, None)
        if question and (bits := _told(library, question, handle)) is not None:
            return int(bits)
    return None


def throttles(bits: int) -> list[str]:
    """The words for what slows a busy GPU down; [] for idle clocks and for limits that a person has set."""
    return [word for bit, word in THROTTLES.items() if bits & bit]


def _told(library: Library, question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, None where there is none."""
    try:
        return question(*arguments)
    except library.NVMLError:
        return None


def _text(answer: Any) -> str:
    """Older versions of pynvml answer in bytes."""
    return answer.decode() if isinstance(answer, bytes) else str(answer or "")
