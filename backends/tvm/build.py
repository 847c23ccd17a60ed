"""What `tvm.build` does: an ONNX file → Relax → kernels → a library that holds the weights as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.support import faults
from backends.tvm import cuda, onnx, schedule, tuned
from bench.interfaces.backend import Target
from bench.interfaces.tensors import IOSpec, ModelFile
from bench.machine import instructions

if TYPE_CHECKING:
    import tvm

LAYOUT = {"relax.nn.conv2d": ["NHWC", "HWIO"]}


def build(model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any], path: Path) -> None:
    """Writes the library.

    Raises ModelFileError for a file that is no ONNX, UnsupportedCase for what TVM cannot hold, in its words.
    """
    made = compiled(model, target, io, settings, path.parent, machine(target))
    made.export_library(str(path))


def compiled(
    model: ModelFile,
    target: Target,
    io: IOSpec,
    settings: Mapping[str, Any],
    folder: Path,
    made_for: tvm.target.Target,
) -> Any:
    """An executable for that machine; `folder` gets what is kept beside it."""
    import tvm
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tvm.relax.frontend.onnx import from_onnx

    try:
        file = onnx.read(model.path, io)
    except (OSError, ValueError, DecodeError) as error:
        raise faults.broken(model, error) from error
    shapes = {tensor.name_in_file: list(tensor.shape) for tensor in io.inputs}
    with made_for, tvm.transform.PassContext(opt_level=3):
        with _refusals("its ONNX frontend"):
            module = from_onnx(file, shape_dict=shapes, keep_params_in_input=False)
        module = WAYS[target.variant](_bounded(module), Job(settings, io, folder))
        with _refusals("its compiler"):
            return tvm.compile(module, made_for)


@contextmanager
def _refusals(whose: str) -> Iterator[None]:
    """What TVM itself refuses, in its words. Its exceptions are of many kinds, Python's own among them; what
    our passes raise is an error of ours, and stays one."""
    what = f"tvm cannot compile this model, says {whose}"
    with faults.refusals(what, "leave this backend out for this workload"):
        yield


def machine(target: Target) -> tvm.target.Target:
    """This CPU, with the target's threads as its cores, or the GPU with this CPU as its host."""
    import tvm

    host = tvm.target.Target({"kind": "llvm", "mcpu": cpu(), "num-cores": target.threads})
    return cuda.machine(host) if target.device_kind == "cuda" else host


def cpu() -> str:
    """LLVM's name for this CPU (`znver3`)."""
    import tvm

    return str(tvm.get_global_func("target.llvm_get_system_cpu")())


@dataclass(frozen=True)
class Job:
    """What a way of compiling may want to know; `folder` gets what is kept beside the library."""

    settings: Mapping[str, Any]
    io: IOSpec
    folder: Path


def _plain(module: tvm.IRModule, job: Job) -> tvm.IRModule:
    from tvm import relax

    module = _fast(relax.transform.DecomposeOpsForInference()(module), job.settings)
    with _refusals("its zero pipeline"):
        return relax.get_pipeline("zero")(module)


def _scheduled(module: tvm.IRModule, job: Job) -> tvm.IRModule:
    return _schedule(_fused(module, job.settings))


def _tuned(module: tvm.IRModule, job: Job) -> tvm.IRModule:
    module = _fused(module, job.settings)
    return tuned.tuned(module, _schedule, _vectors(), job.settings, job.io, job.folder)


def _schedule(module: tvm.IRModule) -> tvm.IRModule:
    """Our schedule, for what has none."""
    from tvm.s_tir import dlight

    return dlight.ApplyDefaultSchedule(*schedule.rules(*_vectors()))(module)


def _vectors() -> tuple[int, int]:
    """Floats of this CPU's vector registers, and how many there are: AVX-512, else 8 in 16."""
    return (16, 32) if "avx512f" in instructions.cpu_flags() else (8, 16)


WAYS = {"": _plain, "schedule": _scheduled, "tuned": _tuned}


def _fused(module: tvm.IRModule, settings: Mapping[str, Any]) -> tvm.IRModule:
    """Convolutions in the layout that has channels last, constants worked out, operations joined."""
    import tvm
    from tvm.relax import transform as passes

    first = [
        passes.DecomposeOpsForInference(),
        passes.CanonicalizeBindings(),
        passes.FoldConstant(),
        passes.ConvertLayout(LAYOUT),
        passes.Normalize(),
    ]
    then = [
        passes.FoldConstant(),
        passes.LegalizeOps(),
        passes.FoldConstant(),
        passes.AnnotateTIROpPattern(),
        passes.FuseOps(),
        passes.FuseTIR(),
        passes.DeadCodeElimination(),
    ]
    module = _transposed(tvm.transform.Sequential(first)(module))
    return tvm.transform.Sequential(then)(_fast(module, settings))


def _fast(module: tvm.IRModule, settings: Mapping[str, Any]) -> tvm.IRModule:
    from tvm import relax

    return relax.transform.FastMathTransform()(module) if settings.get("fast_math") else module


def _bounded(module: tvm.IRModule) -> tvm.IRModule:
    """The frontend's kernels for Clip as operators: those keep to the layout of a convolution."""

    def replace(call: Any, lookup: Any) -> Any:
        import tvm
        from tvm import relax

        if call.op != tvm.ir.Op.get("relax.call_tir"):
            return call
        name = call.args[0].name_hint.rstrip("0123456789")
        if name not in ("maximum", "minimum"):
            return call
        value, bound = call.args[1].fields
        given = lookup(bound) if isinstance(bound, relax.Var) else None
        if isinstance(given, relax.Call) and given.op == tvm.ir.Op.get("relax.where"):
            given = given.args[2]  # the bound itself: the frontend asks whether it is a number
        constant = isinstance(given, tvm.ir.Constant)
        return getattr(relax.op, name)(value, given if constant else bound)

    return _mutated(module, replace)


def _transposed(module: tvm.IRModule) -> tvm.IRModule:
    """Weights that are only read transposed, transposed: TVM's own way compiles a kernel for each."""

    def replace(call: Any, lookup: Any) -> Any:
        import numpy as np
        import tvm
        from tvm import relax

        if call.op != tvm.ir.Op.get("relax.permute_dims") or not isinstance(call.args[0], tvm.ir.Constant):
            return call
        axes = call.attrs.axes and [int(axis) for axis in call.attrs.axes]
        array = np.ascontiguousarray(np.transpose(call.args[0].value.numpy(), axes))
        return relax.const(array)

    return _mutated(module, replace)


def _mutated(module: tvm.IRModule, replace: Any) -> tvm.IRModule:
    """`main` with each call as `replace` has it."""
    from tvm import relax

    @relax.expr_functor.mutator
    class Mutator(relax.PyExprMutator):  # type: ignore[misc]
        def visit_call_(self, call: Any) -> Any:
            return replace(super().visit_call_(call), self.lookup_binding)

    module["main"] = Mutator(module).visit_expr(module["main"])
    return relax.transform.DeadCodeElimination()(module)
