"""Whether the GPUs are fit to measure, and whether runtimes and driver fit together: read-only, each with its
mend.

As in `bench.machine.checks`, every check is a function of plain values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.machine.checks import Check
from bench.machine.gpu.devices import VISIBLE
from bench.machine.gpu.nvml import Driver, Gpu, NoGpu, Reading, throttles
from bench.machine.topology import ROOT, read_text
from bench.text.numbers import memory_size

NVIDIA = "0x10de"  # the vendor's number on the PCI bus
DISPLAY = "0x03"  # the class of controllers that GPUs are of
NOTICEABLE = 0.05  # of the time: kernels of others
HOT_C = 85.0
# What a backend's probe tells of the CUDA that it is built for (`Capabilities.detail`).
BUILT_FOR, ARCHITECTURES = "CUDA", "architectures"
NO_CUDA = "none"
ARCHITECTURE = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d+)(?P<minor>\d)(?P<only>[af]?)")


def checks(
    found: Driver | NoGpu,
    shown: Mapping[str, Gpu],
    readings: Mapping[str, Reading],
    environment: Mapping[str, str],
    root: Path = ROOT,
) -> tuple[Check, ...]:
    """All of them. `shown`: device → GPU; `readings`: UUID → what was read of it just now."""
    if isinstance(found, NoGpu):
        return (none(found, on_the_bus(root)),)
    made = [present(found, shown, environment)]
    for device, gpu in shown.items():
        if device.count(":") == 1 and gpu.uuid in readings:
            made += [occupied(device, readings[gpu.uuid]), held_back(device, gpu, readings[gpu.uuid])]
    return tuple(made)


def on_the_bus(root: Path = ROOT) -> int:
    """NVIDIA's display controllers that the PCI bus shows, driver or not."""
    folders = sorted((root / "sys/bus/pci/devices").glob("*"))
    return sum(
        read_text(folder / "vendor") == NVIDIA and read_text(folder / "class").startswith(DISPLAY)
        for folder in folders
    )


def none(why: NoGpu, on_bus: int) -> Check:
    if not on_bus:
        return Check("GPU", "ok", f"none: {why.message}")
    text = f"{on_bus} on the PCI bus, and none can be used: {why.message}"
    return Check("GPU", "bad", text, why.hint or "install NVIDIA's driver; in a container: --gpus all")


def present(driver: Driver, shown: Mapping[str, Gpu], environment: Mapping[str, str]) -> Check:
    named = "; ".join(f"{device} {_described(gpu)}" for device, gpu in shown.items())
    text = f"{named or 'none shown'}; driver {driver.version}, CUDA up to {driver.cuda or 'unknown'}"
    hidden = len(driver.gpus) - sum(device.count(":") == 1 for device in shown)
    if hidden > 0 and VISIBLE in environment:
        return Check("GPU", "warn", f"{text}; {VISIBLE} hides {hidden}", f"unset {VISIBLE}")
    return Check("GPU", "ok", text)


def _described(gpu: Gpu) -> str:
    memory = f", {memory_size(gpu.memory_bytes)}" if gpu.memory_bytes else ""
    divided = f", {len(gpu.instances)} MIG instances" if gpu.instances else ""
    return f"{gpu.name}{memory}{divided}"


def occupied(device: str, reading: Reading) -> Check:
    """Whether others compute there; memory alone that somebody holds does no harm to times."""
    name = f"others on {device}"
    if reading.utilisation is None:
        return Check(name, "ok", "the driver does not say")
    used = f", {memory_size(reading.used_bytes)} in use" if reading.used_bytes else ""
    text = f"kernels ran {reading.utilisation:.0%} of the time{used}"
    return Check(name, "bad" if reading.utilisation > NOTICEABLE else "ok", text, _who(reading))


def _who(reading: Reading) -> str:
    return "nvidia-smi" if (reading.utilisation or 0) > NOTICEABLE else ""


def held_back(device: str, gpu: Gpu, reading: Reading) -> Check:
    """What holds the clocks down before anything runs."""
    name, words = f"clocks of {device}", throttles(reading.throttle or 0)
    clock = f"{reading.sm_mhz:.0f}" if reading.sm_mhz is not None else "unknown"
    most = f" of at most {gpu.sm_mhz:.0f}" if gpu.sm_mhz else ""
    warm = f", {reading.temperature_c:.0f} °C" if reading.temperature_c is not None else ""
    text = f"{clock}{most} MHz{warm}"
    if words:
        mend = "cool it, or raise the cap: nvidia-smi -q -d PERFORMANCE,POWER"
        return Check(name, "warn", f"{text}, held back by {', '.join(words)}", mend)
    if reading.temperature_c is not None and reading.temperature_c >= HOT_C:
        return Check(name, "warn", f"{text}: it will slow down", "nvidia-smi -q -d TEMPERATURE")
    return Check(name, "ok", text)


def misfits(
    backend: str, detail: Mapping[str, str], found: Driver | NoGpu, gpus: Sequence[Gpu]
) -> list[Check]:
    """Why a backend that is built for CUDA cannot use a GPU that is here; [] where it can, or need not.

    Args:
        detail: of the backend's probe: the CUDA that it is built for, and the architectures it has code for.
    """
    built = detail.get(BUILT_FOR)
    if built is None or isinstance(found, NoGpu):
        return []
    name = f"{backend} and CUDA"
    if built == NO_CUDA:
        text = f"a GPU is here, and this build of {backend} is for the CPU alone"
        return [Check(name, "warn", text, f"install a build for CUDA {found.cuda}")]
    made = []
    if found.cuda and _major(built) > _major(found.cuda):
        text = f"built for CUDA {built}, and driver {found.version} serves CUDA up to {found.cuda}"
        made.append(Check(name, "bad", text, f"a newer driver, or a build for CUDA {_major(found.cuda)}"))
    words = detail.get(ARCHITECTURES, "").split()
    lacking = sorted(
        {gpu.capability for gpu in gpus if gpu.capability and words and not covers(words, gpu.capability)}
    )
    if lacking:
        text = f"no code for compute capability {', '.join(lacking)}: it has {', '.join(words)}"
        made.append(Check(name, "bad", text, "a build that names it, older or newer"))
    return made


def covers(architectures: Sequence[str], capability: str) -> bool:
    """Whether code for these architectures runs on a GPU of that compute capability.

    Binary code (`sm_80`) runs within its major version from its minor on; what can be compiled on the spot
    (`compute_80`) on anything newer; `sm_90a` and `sm_100f` there alone (CUDA C++ Programming Guide,
    'Application compatibility').
    """
    major, _, minor = capability.partition(".")
    have = int(major), int(minor or 0)
    return any(_runs(match, have) for match in _known(architectures))


def _known(architectures: Sequence[str]) -> Iterator[re.Match[str]]:
    return (match for word in architectures if (match := ARCHITECTURE.fullmatch(word)))


def _runs(match: re.Match[str], have: tuple[int, int]) -> bool:
    needs = int(match["major"]), int(match["minor"])
    if match["only"]:
        return have == needs
    return have >= needs if match["kind"] == "compute" else have[0] == needs[0] and have[1] >= needs[1]


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
