"""PyTorch's graph compilers behind one pair of functions: `build` makes what `load` runs.

| variant | build | load |
| --- | --- | --- |
| compile | torch.compile with frozen weights fills Inductor's cache | torch.compile, from that cache |
| cudagraphs | the same, on a GPU | the same, and its kernels recorded as one CUDA graph |
| aoti | AOTInductor compiles a package | torch._inductor.aoti_load_package |
| script | torch.jit.trace and freeze | torch.jit.load |
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.torch import graph
from backends.torch.plain_paths import plain, plain_temporary

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

Tensors = tuple["torch.Tensor", ...]
Run = Callable[..., Tensors]
VARIANTS = {
    "compile": "TorchInductor: torch.compile with frozen weights, one static shape",
    "cudagraphs": "the same on a GPU, its kernels started together as one CUDA graph",
    "aoti": "AOTInductor: compiled ahead of time into a package",
    "script": "TorchScript, traced and frozen",
}
ON_CUDA_ALONE, ON_CPU_ALONE = ("cudagraphs",), ("script",)
INDUCTOR = ("compile", "cudagraphs")
RECORDING = 3  # runs: one to warm up and one to record come first
FILES = {"compile": "graph.pt", "cudagraphs": "graph.pt", "aoti": "package.pt2", "script": "frozen.ts"}
CACHE = "inductor"
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def build(variant: str, module: GraphModule, example: Tensors, folder: Path, device: str) -> Path:
    """Compiles the module for inputs like `example`; the file that `load` takes."""
    import torch

    path = folder / FILES[variant]
    plain_temporary()
    with torch.no_grad():
        if variant in INDUCTOR:
            graph.write(module, path)
            _inductor(path, device, graphs=False)(*example)
        elif variant == "aoti":
            program = torch.export.export(module, example)
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(path), inductor_configs={"freezing": True}
            )
        else:
            traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(torch.jit.freeze(traced.eval()), str(path))
    return path


def load(variant: str, path: Path, example: Tensors, device: str) -> Run:
    """What runs; Inductor's is compiled here, from its cache, for inputs like `example`."""
    import torch

    plain_temporary()
    if variant in INDUCTOR:
        run = _inductor(path, device, graphs=variant == "cudagraphs")
        with torch.no_grad():
            for _ in range(RECORDING if variant == "cudagraphs" else 1):
                run(*example)
        return run
    if variant == "aoti":
        package = torch._inductor.aoti_load_package(str(path))
        return lambda *inputs: tuple(package(*inputs))
    script = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return lambda *inputs: _tuple(script(*inputs))


def _inductor(path: Path, device: str, *, graphs: bool) -> Run:
    """The graph of a file, with its weights as constants that Inductor packs as its kernels want them
    ("freezing"); its cache lies beside the file. `graphs`: its kernels become a CUDA graph."""
    import torch
    from torch._inductor import config

    os.environ[CACHE_VARIABLE] = str(plain(path.parent / CACHE))
    config.freezing = True
    # What mode="reduce-overhead" sets; the mode itself would undo the setting above.
    config.triton.cudagraphs = graphs
    run: Run = torch.compile(graph.load(path, device), dynamic=False)
    return run


def _tuple(outputs: Any) -> Tensors:
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)
