"""ncnn's own format in fp32, by pnnx from the traced origin: of one sample, and of one length.

`model.param` names the layers and `model.bin` beside it holds the weights; inputs are `in0`, `in1`, … and
outputs `out0`, … in the workload's order. ncnn has no batch axis.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.support.faults import refusals
from bench.interfaces.converter import Converter, Job
from bench.interfaces.errors import UnsupportedCase

SUFFIXES = {"int64": "i64", "float32": "f32"}
HEAD = 2  # lines of a .param file before its layers: the magic number, and the counts


def make(job: Job) -> Mapping[str, Any]:
    import pnnx
    import torch

    workload, length, folder = job.workload, job.facts["length"], job.output.parent
    specs = workload.io(1, length).inputs
    arrays = workload.inputs(1, length, seed=0)
    traced = folder / "traced.pt"
    with torch.no_grad():
        arguments = tuple(torch.from_numpy(arrays[spec.name]) for spec in specs)
        module: Any = torch.jit.trace(job.restore(), arguments, check_trace=False)  # type: ignore[no-untyped-call]
        module.save(str(traced))
    shapes = (f"[{','.join(map(str, spec.shape))}]{SUFFIXES[spec.dtype]}" for spec in specs)
    command = [str(Path(pnnx.__file__).parent / "pnnx"), traced.name, f"inputshape={','.join(shapes)}"]
    command += ["fp16=0", f"ncnnparam={job.output.name}", "ncnnbin=model.bin"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for path in folder.glob("traced*"):
        path.unlink()
    if done.returncode or not job.output.is_file():
        last = said[-1] if said else "no word"
        print(done.stdout, done.stderr, flush=True)  # for the log
        with refusals(f"pnnx cannot convert {workload.name}", "leave this backend out for this workload"):
            raise RuntimeError(f"{last} (exit {done.returncode})")
    # What pnnx has no layer of ncnn's for keeps PyTorch's name (`torch.unbind`), and is no model to load.
    kinds = (line.split()[0] for line in job.output.read_text().splitlines()[HEAD:])
    if foreign := list(dict.fromkeys(kind for kind in kinds if "." in kind)):
        ignored = next((line for line in said if line.startswith("ignore ")), "no word of it")
        raise UnsupportedCase(
            f"pnnx finds no layer of ncnn's for {', '.join(foreign)} ({ignored})",
            hint="leave this backend out for this workload",
        )
    return {"lineage": {"exporter": "torch.jit.trace", "converter": "pnnx fp16=0"}}


CONVERTER = Converter(
    kind="ncnn",
    file="model.param",
    revision=1,
    parents=("origin",),
    axes=("length",),
    distributions=("pnnx", "torch"),
    make=make,
    model=True,
    tools="to-ncnn",
)
