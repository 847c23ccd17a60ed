"""An engine of an ONNX file: parsed, optimised for the shapes of one case on this GPU, and kept as a file.

The times of tactics are kept beside it, and no other build starts from them: which tactics an engine has
would then depend on which case happened to be built first, and on what disturbed that. Whoever wants the same
engine again has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backends.support import faults, onnx_file
from backends.tensorrt import api
from backends.tensorrt.cuda import Gpu
from bench.interfaces.backend import Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.options import Option
from bench.interfaces.tensors import IOSpec, ModelFile

FORMAT = "tensorrt-engine"
ENGINE, MADE, TIMINGS = "model.engine", "engine.json", "timing.cache"
MIB = 2**20
OPTIONS = {
    "builder_optimization_level": Option("how long the builder searches", "whole", 0, 5),
    "cuda_graph": Option("runs replay a CUDA graph"),
    "workspace_mib": Option("MiB that a kernel may take", "whole", 1),
}


@dataclass(frozen=True, slots=True)
class Made:
    """What an engine is bound to, and how it was built; the file beside it."""

    tensorrt: str
    gpu: str
    tf32: bool
    layers: int

    @classmethod
    def beside(cls, engine: Path) -> Made:
        """Raises OSError, ValueError or TypeError where there is none, or another thing."""
        return cls(**json.loads(engine.with_name(MADE).read_text()))

    def other(self, tensorrt: str, gpu: Gpu) -> str:
        """Why it does not run here, or ''."""
        if self.tensorrt != tensorrt:
            return f"it was built by TensorRT {self.tensorrt}, this is {tensorrt}"
        return f"it was built for {self.gpu}, this is {gpu}" if self.gpu != str(gpu) else ""


def build(
    trt: Any,
    model: ModelFile,
    target: Target,
    io: IOSpec,
    settings: Mapping[str, Any],
    gpu: Gpu,
    folder: Path,
) -> ModelFile:
    """The engine, with what it is bound to and the times of its tactics beside it.

    Raises ModelFileError for a file that is broken or of another model, UnsupportedCase for what TensorRT
    does not take.
    """
    _require_readable(model, io)
    log = api.logger(trt)
    builder = api.started(trt.Builder, log)
    network = api.create_network(trt, builder)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(model.path)):
        raise _refused(model, api.refusals(trt, parser), log)
    _require_same(model, network, io)
    config = builder.create_builder_config()
    tf32, workspace = target.arithmetic == "tf32", settings.get("workspace_mib")
    api.configure(
        trt,
        config,
        tf32=tf32,
        level=settings.get("builder_optimization_level"),
        workspace=None if workspace is None else int(workspace) * MIB,
    )
    timings = config.create_timing_cache(b"")
    config.set_timing_cache(timings, False)
    _fix_shapes(builder, config, network, io)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise UnsupportedCase(f"tensorrt cannot build this model: {api.failure(log)}", hint="bakeoff doctor")
    path = folder / ENGINE
    path.write_bytes(plan)
    (folder / TIMINGS).write_bytes(timings.serialize())
    made = Made(str(trt.__version__), str(gpu), tf32, network.num_layers)
    (folder / MADE).write_text(json.dumps(asdict(made)))
    return ModelFile(FORMAT, path, model.sha256)


def _require_readable(model: ModelFile, io: IOSpec) -> None:
    """By the outer form of the protobuf: of an empty or cut-off file the parser says less."""
    try:
        onnx_file.extents(model.path, io)
    except (OSError, ValueError) as error:
        raise faults.broken(model, error) from error


def _refused(model: ModelFile, refusals: list[api.Refusal], log: Any) -> Exception:
    first = refusals[0] if refusals else api.Refusal("", "", api.failure(log))
    if first.broken:
        return faults.unfit(model, first.words)
    more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
    return UnsupportedCase(
        f"tensorrt, its ONNX parser: {first.words}{more}", hint="leave this backend out for this workload"
    )


def _require_same(model: ModelFile, network: Any, io: IOSpec) -> None:
    ins = {network.get_input(i).name for i in range(network.num_inputs)}
    outs = {network.get_output(i).name for i in range(network.num_outputs)}
    missing = [t.name_in_file for t in io.inputs if t.name_in_file not in ins]
    missing += [t.name_in_file for t in io.outputs if t.name_in_file not in outs]
    if missing:
        has = ", ".join(sorted(ins | outs)) or "nothing"
        raise ModelFileError(f"{model.path}: has no {', '.join(missing)} (it has {has})")


def _fix_shapes(builder: Any, config: Any, network: Any, io: IOSpec) -> None:
    """One profile whose least, best and largest shapes are the case's, for a network that leaves any open."""
    shapes = {t.name_in_file: t.shape for t in io.inputs}
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    open_ones = [one.name for one in inputs if -1 in tuple(one.shape)]
    if not open_ones:
        return
    profile = builder.create_optimization_profile()
    for name in open_ones:
        profile.set_shape(name, shapes[name], shapes[name], shapes[name])
    if config.add_optimization_profile(profile) < 0:
        raise UnsupportedCase(f"tensorrt takes no profile of the shapes {shapes}", hint="bakeoff doctor")
