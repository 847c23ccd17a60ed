"""The origin: a workload's weights as safetensors, seeded or from the user's checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.files import heads, regular
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import ModelFileError
from bench.interfaces.workload import Workload
from bench.prepare.checkpoints import fitting
from bench.prepare.checkpoints.archives import AGAIN
from bench.prepare.checkpoints.looking import files, joined, look
from bench.prepare.checkpoints.pickles import DEEPEST
from bench.prepare.checkpoints.tree import Other, Tensor

if TYPE_CHECKING:
    import torch

SEED = 0


def make(job: Job) -> Mapping[str, Any]:
    from safetensors.torch import save_file

    workload = job.workload
    module = workload.build()
    lineage = {"weights": "checkpoint" if job.weights else f"seed:{SEED}"}
    if job.weights:
        reading = load_checkpoint(workload, module, Path(job.weights))
        lineage |= {"read": reading.said} if reading.said else {}
    else:
        workload.seed_weights(module, SEED)
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, job.output)
    return {"lineage": lineage}


def restore(workload: Workload, origin: Path) -> torch.nn.Module:
    """The workload's module in fp32 with the weights of an origin."""
    from safetensors.torch import load_file

    module = workload.build()
    module.load_state_dict(load_file(origin))
    return module.eval()


def load_checkpoint(workload: Workload, module: torch.nn.Module, path: Path) -> fitting.Reading:
    """Fills the module from a safetensors file, a state_dict, or a sharded one of either, and says how it was
    read. Raises ModelFileError naming the file.

    The parent judges by the same rules before anything is made, where it has a table of the module's tensors.
    """
    import torch

    tree = read_checkpoint(path)
    expected = module.state_dict()
    facts = {key: _described(tensor) for key, tensor in expected.items()}
    reading = fitting.fit({key: _described(one) for key, one in tree.items()}, facts, workload, str(path))
    state = tree[reading.wrapper] if reading.wrapper else tree
    held = {name: state[key] for name, key in reading.keys.items()}
    merged = {key: held.get(key, tensor) for key, tensor in expected.items()}
    with torch.no_grad():
        module.load_state_dict(merged)
    for key, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: {key} holds values that are not finite")
    return reading


def _described(value: Any, depth: int = DEEPEST) -> Any:
    """Facts of what torch read, as `bench.prepare.checkpoints.checkpoints.look` finds them without it."""
    import torch

    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return Tensor(dtype if value.layout == torch.strided else "sparse", tuple(value.shape))
    if isinstance(value, dict) and depth:
        return {str(key): _described(one, depth - 1) for key, one in value.items()}
    return Other(type(value).__name__)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, its tensors as tensors; never runs code from it.

    Raises ModelFileError, in words of our own: what torch says of a file that it refuses is how to load it
    all the same.
    """
    look(path)
    found = files(path)
    if found.index is None:
        return _read(found.path)
    return joined(found.index, {name: _read(one) for name, one in found.index.shards.items()})


def _read(path: Path) -> dict[str, Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with regular.opened(path) as file:
        if heads.kind(file.read(heads.HEAD), path.stat().st_size) == heads.SAFETENSORS:
            try:
                return dict(load_file(path))
            except SafetensorError as error:
                raise ModelFileError(f"{path} is a broken safetensors file: {error}") from error
        file.seek(0)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"{path} is refused by torch {torch.__version__} as other than tensors alone "
                f"({type(error).__name__}); a pickle that may run code is never loaded",
                hint=f"save it with {heads.SAVE}",
            ) from error
    if not isinstance(state, dict):
        raise ModelFileError(f"{path} holds {type(state).__name__}, not a state_dict", hint=AGAIN)
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
