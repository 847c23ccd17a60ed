"""What `cuda:0` means: the GPUs that a process may see, and how a worker comes to see one alone.

| written | means |
| --- | --- |
| `cuda:1` | the second GPU that CUDA shows, in the order of the PCI bus |
| `cuda` | the first |
| `cuda:all` | every one, a case each |
| `cuda:GPU-8f3c…` | the one of that UUID, or of a beginning that only one has |
| `cuda:0:1` | the MIG instance 1 of GPU 0; also by its UUID, `cuda:MIG-…` |

A worker of a GPU sees that one and no other, as `cuda:0`: whatever a runtime takes of what it sees (JAX sets
memory aside on every GPU) stays there, and an instance can be had in no other way.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from bench.interfaces.errors import UsageError
from bench.machine.gpu.nvml import Driver, Gpu, NoGpu, Reading, driver, handle_of, opened, read

KIND = "cuda"
EVERY = "all"
INSIDE = "cuda:0"  # what a worker's only GPU is called there
VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
BY_BUS = {ORDER: "PCI_BUS_ID"}  # as NVML counts; CUDA itself would put the fastest first


@functools.cache
def found() -> Driver | NoGpu:
    """The driver and its GPUs, looked up once; or why there are none."""
    try:
        with opened() as library:
            return driver(library)
    except NoGpu as error:
        return error


def gpus() -> dict[str, Gpu]:
    """Device → GPU or instance, of all that CUDA shows here."""
    known = found()
    return {} if isinstance(known, NoGpu) else named(known.gpus, os.environ.get(VISIBLE))


def uuid(device: str) -> str:
    """Of the GPU or instance that the name means here; '' for what is none."""
    gpu = gpus().get(device)
    return gpu.uuid if gpu else ""


def readings() -> dict[str, Reading]:
    """UUID → a reading, of every GPU that answers."""
    known = found()
    if isinstance(known, NoGpu):
        return {}
    read_now = {}
    with suppress(NoGpu), opened() as library:
        for gpu in known.gpus:
            with suppress(NoGpu):
                read_now[gpu.uuid] = read(library, handle_of(library, gpu.uuid))
    return read_now


def named(gpus: Sequence[Gpu], visible: str | None) -> dict[str, Gpu]:
    """`cuda:0`, `cuda:0:1` … → GPU or instance; `visible` is the value of CUDA_VISIBLE_DEVICES, if it is set.

    CUDA reads it from the left and stops at what it cannot find (CUDA C++ Programming Guide, 'Environment
    variables'): `0,9,1` shows one GPU where there are two.
    """
    shown = list(gpus) if visible is None else _shown(gpus, visible)
    names: dict[str, Gpu] = {}
    for place, gpu in enumerate(shown):
        names[f"{KIND}:{place}"] = gpu
        names |= {f"{KIND}:{place}:{one.index}": one for one in gpu.instances}
    return names


def _shown(gpus: Sequence[Gpu], visible: str) -> list[Gpu]:
    everything = [*gpus, *(one for gpu in gpus for one in gpu.instances)]
    shown: list[Gpu] = []
    for word in (part.strip() for part in visible.split(",")):
        if word.isdigit():
            one = gpus[int(word)] if int(word) < len(gpus) else None
        else:
            one = next((gpu for gpu in everything if word and gpu.uuid.startswith(word)), None)
        if one is None or one in shown:
            break
        shown.append(one)
    return shown


def spelt(asked: str, known: Mapping[str, Gpu]) -> tuple[str, ...]:
    """`cuda:all` or a UUID as the names of GPUs; anything else as it is.

    What is not here stays as it was asked for, and is refused as such. Raises UsageError for the beginning of
    several UUIDs.
    """
    kind, _, which = asked.partition(":")
    if kind != KIND:
        return (asked,)
    if which == EVERY:
        return tuple(name for name in known if name.count(":") == 1) or (asked,)
    if not which.upper().startswith(("GPU-", "MIG-")):
        return (asked,)
    meant = [name for name, gpu in known.items() if gpu.uuid.lower().startswith(which.lower())]
    if len(meant) > 1:
        raise UsageError(f"{asked} could be {', '.join(meant)}", hint="nvidia-smi -L shows whole UUIDs")
    return tuple(meant) or (asked,)


def whole(device: str) -> str:
    """`cuda:0:1` → `cuda:0`: the GPU that an instance is of, whose abilities it has."""
    return ":".join(device.split(":")[:2]) if device.startswith(f"{KIND}:") else device


def alone(
    device: str, known: Mapping[str, Gpu], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Variables under which a process sees that device and no other; none for what is no CUDA GPU."""
    if not device.startswith(f"{KIND}:"):
        return {}
    gpu = known.get(device)
    if gpu is not None and gpu.uuid:
        return {**BY_BUS, VISIBLE: gpu.instances[0].uuid if gpu.instances else gpu.uuid}
    # No NVML to ask: by the place in what is shown already.
    shown = [word.strip() for word in environment.get(VISIBLE, "").split(",") if word.strip()]
    place = int(device.split(":")[1]) if device.split(":")[1].isdigit() else 0
    return {**BY_BUS, VISIBLE: shown[place] if place < len(shown) else str(place)}


def inside(device: str) -> str:
    """What a worker that sees the device alone calls it."""
    return INSIDE if device.startswith(f"{KIND}:") else device
