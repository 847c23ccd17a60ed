"""The origin: a workload's weights as safetensors, seeded or from the user's checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.converters import Converter, Job
from bench.errors import ModelFileError
from workloads.base import Workload

if TYPE_CHECKING:
    import torch

SEED = 0
SHOWN = 3  # mismatching keys in a message


def make(job: Job) -> Mapping[str, Any]:
    from safetensors.torch import save_file

    workload = job.definition()
    module = workload.build()
    if job.weights:
        load_checkpoint(workload, module, Path(job.weights))
    else:
        workload.seed_weights(module, SEED)
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, job.output)
    return {"lineage": {"weights": "checkpoint" if job.weights else f"seed:{SEED}"}}


def restore(job: Job) -> torch.nn.Module:
    """The workload's module in fp32 with the weights of the job's origin."""
    from safetensors.torch import load_file

    module = job.definition().build()
    module.load_state_dict(load_file(job.parents["origin"].path))
    return module.eval()


def load_checkpoint(workload: Workload, module: torch.nn.Module, path: Path) -> None:
    """Fills the module from a safetensors file or a state_dict. Raises ModelFileError naming the file."""
    import torch

    state = {renamed(key, workload): tensor for key, tensor in read_checkpoint(path).items()}
    expected = module.state_dict()

    def wanted(keys: set[str]) -> list[str]:
        return sorted(key for key in keys if not any(fnmatch(key, p) for p in workload.ignored_keys))

    lacking = wanted(expected.keys() - state.keys())
    foreign = wanted(state.keys() - expected.keys())
    shapes = [
        f"{key} is {list(state[key].shape)}, not {list(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if lacking or foreign or shapes:
        parts = [
            f"{what} {', '.join(keys[:SHOWN])}{f' and {len(keys) - SHOWN} more' if len(keys) > SHOWN else ''}"
            for what, keys in (("lacks", lacking), ("has besides", foreign), ("differs:", shapes))
            if keys
        ]
        raise ModelFileError(
            f"{path} is no checkpoint of {workload.name}: it {'; '.join(parts)}",
            hint=f"use a checkpoint of this architecture ({workload.summary}), or none: seeded weights",
        )
    merged = {key: state.get(key, tensor) for key, tensor in expected.items()}
    with torch.no_grad():
        module.load_state_dict(merged)
    for key, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: {key} holds values that are not finite")


def renamed(key: str, workload: Workload) -> str:
    """A checkpoint's key under the workload's own name for it."""
    for pattern, replacement in workload.renamed_keys:
        key = re.sub(pattern, replacement, key)
    return key


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Key → tensor of a safetensors file or a saved state_dict; never runs code from the file."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{":  # safetensors: eight bytes of length, then JSON
            return dict(load_file(path))
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}", hint="name a file after --weights") from error
    except SafetensorError as error:
        raise ModelFileError(f"{path} is a broken safetensors file: {error}") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelFileError(
            f"{path} is neither safetensors nor a state_dict of tensors alone "
            f"({str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}); "
            "a pickle that may run code is never loaded",
            hint="save it with safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')",
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelFileError(
            f"{path} holds {type(state).__name__} with other things than tensors, not a state_dict",
            hint="save module.state_dict(), not the module",
        )
    return state


CONVERTER = Converter(
    kind="origin",
    file="weights.safetensors",
    revision=1,
    parents=(),
    axes=(),
    distributions=("torch", "numpy"),
    make=make,
    shared=True,
)
