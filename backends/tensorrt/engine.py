"""An engine that runs here: read from its file, refused where it is another's, and its contexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backends.support import faults
from backends.tensorrt import api
from backends.tensorrt.build import Made
from backends.tensorrt.cuda import CudaError, Gpu
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.tensors import IOSpec, ModelFile


class Engine:
    """TensorRT's runtime and one engine, with the logger that both need as long as they live.

    Attributes:
        made: what it is bound to, and how it was built.
        dtypes: name in the file → dtype of an input or output.
        inputs: the case's inputs that the engine reads: one that nothing uses it does not have.
    """

    def __init__(self, trt: Any, gpu: Gpu, model: ModelFile, io: IOSpec, threads: int) -> None:
        self._trt, self._model = trt, model
        self.made = made_for(model, str(trt.__version__), gpu)
        self._log = api.logger(trt)
        self.runtime = api.started(trt.Runtime, self._log)
        self.runtime.max_threads = threads
        self._engine = self.runtime.deserialize_cuda_engine(model.path.read_bytes())
        if self._engine is None:
            raise faults.broken(model, ValueError(self.failure()))
        self.dtypes = {name: dtype for name, _, dtype in api.tensors(trt, self._engine)}
        _require_same(model, self.dtypes, io)
        self.inputs = tuple(spec for spec in io.inputs if spec.name_in_file in self.dtypes)
        if deciding := api.decide_shapes(trt, self._engine):
            raise UnsupportedCase(
                f"tensorrt: values of {', '.join(deciding)} decide shapes, and lie in the host's memory",
                hint="leave this backend out for this workload",
            )

    def context(self, io: IOSpec, addresses: Mapping[str, int], profiler: Any = None) -> Any:
        """One of the case's shapes; `addresses` are the places of its outputs.

        Raises ModelFileError for an engine of other shapes, CudaError where there is no memory for it.
        """
        context = self._engine.create_execution_context()
        if context is None:
            raise CudaError(f"TensorRT made no execution context: {self.failure()}")
        if profiler is None:
            api.quiet(self._trt, context)
        else:
            context.profiler = profiler
        for spec in self.inputs:
            if not context.set_input_shape(spec.name_in_file, tuple(spec.shape)):
                raise self._other(
                    spec.name_in_file, spec.shape, self._engine.get_tensor_shape(spec.name_in_file)
                )
        for spec in io.outputs:
            found = context.get_tensor_shape(spec.name_in_file)
            if tuple(found) != tuple(spec.shape):
                raise self._other(spec.name_in_file, spec.shape, found)
            context.set_tensor_address(spec.name_in_file, addresses[spec.name_in_file])
        return context

    def inspect(self, context: Any) -> str:
        return api.inspect(self._trt, self._engine, context)

    def context_bytes(self) -> int:
        return api.context_bytes(self._engine)

    def failure(self) -> str:
        return api.failure(self._log)

    def close(self) -> None:
        """Its contexts must be gone by then; an engine goes before its runtime."""
        del self._engine
        del self.runtime

    def _other(self, name: str, wanted: Iterable[int], found: Iterable[int]) -> ModelFileError:
        return faults.unfit(self._model, f"{name} is {list(found)} in it, {list(wanted)} in this case")


def made_for(model: ModelFile, tensorrt: str, gpu: Gpu) -> Made:
    """What stands beside an engine. Raises ModelFileError if it is missing, or of another version or GPU."""
    if not model.path.is_file():
        raise faults.broken(model, FileNotFoundError())
    try:
        made = Made.beside(model.path)
    except (OSError, ValueError, TypeError) as error:
        raise faults.unfit(model, f"nothing beside it says what it was built for: {error}") from error
    if why := made.other(tensorrt, gpu):
        raise faults.unfit(model, why)
    return made


def _require_same(model: ModelFile, dtypes: Mapping[str, str], io: IOSpec) -> None:
    outputs = {spec.name_in_file for spec in io.outputs}
    wanted = outputs | {spec.name_in_file for spec in io.inputs}
    if not outputs <= set(dtypes) <= wanted:
        raise ModelFileError(
            f"{model.path}: has {', '.join(sorted(dtypes))}, the case {', '.join(sorted(wanted))}"
        )
