"""Sessions of ONNX Runtime whose inputs, outputs and state stay on a device (IOBinding), and what ran where.

`run` returns when the outputs are complete: ONNX Runtime waits for its stream, or the session's clock for the
stream that it lent. A CPU is a device too: what is here holds there, and is tested there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.support import arrays, ort_session, profiles
from backends.support.cuda_driver import Clock
from backends.support.ort_session import CPU, OnnxRuntimeSession
from backends.support.profiles import Operation
from bench.interfaces.backend import Actual, Fact, Target
from bench.interfaces.precision import runs_as
from bench.interfaces.tensors import Array, IOSpec, ModelFile

if TYPE_CHECKING:
    import onnxruntime as ort

    Opened = Callable[[str], ort.InferenceSession]

BF16 = 16  # TensorProto.BFLOAT16, which NumPy has no name for
NUMPY = {"float": "float32", "double": "float64"}  # of the names of elements that are not NumPy's own
TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"  # 0: no library of NVIDIA's multiplies in TF32, whatever it is told
OF_SHAPES = ("Shape", "Size")  # they read no contents
SCALARS = 16  # elements: with numbers as few as these the host works out shapes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a provider computes: its name, the device as OrtValues name it, and whether it fuses what it
    takes into one node of the profile, whose layers nobody sees."""

    provider: str
    device: tuple[str | int, ...]
    engine: bool = False


@dataclass(slots=True)
class Staged:
    """Inputs by their names in the file, and where the outputs go; None where each run makes them."""

    binding: Any
    values: dict[str, Any]
    outputs: list[Any] | None


class BoundSession(OnnxRuntimeSession):
    """Each staging has outputs of its own, so that those of one stand while others are made."""

    def __init__(
        self,
        model: ModelFile,
        target: Target,
        io: IOSpec,
        settings: Mapping[str, Any],
        place: Place,
        opened: Opened,
    ) -> None:
        import onnxruntime as ort

        self._place, self._opened, self._value = place, opened, ort.OrtValue
        super().__init__(model, target, io, settings)
        self._element = {
            value.name: value.type.removeprefix("tensor(").removesuffix(")")
            for value in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        places = {t.name: i for i, t in enumerate(io.outputs)}
        in_file = dict(self._inputs)
        self._fetched = tuple((t.name, places[t.name]) for t in io.fetched)
        self._carried = tuple((in_file[into], places[out]) for out, into in io.state if into in in_file)
        self._run = self._session.run_with_iobinding
        self._how = self._run_options()

    def _open(self, profile_prefix: str = "") -> ort.InferenceSession:
        return self._opened(profile_prefix)

    def _run_options(self) -> Any:
        return None

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        values = dict(onto.values) if onto else {}
        for name, in_file in self._inputs:
            if name in inputs:
                values[in_file] = self._on_device(in_file, inputs[name])
        return self._bound(self._session, values)

    def run(self, staged: Staged) -> list[Any]:
        self._run(staged.binding, self._how)
        return staged.outputs if staged.outputs is not None else staged.binding.get_outputs()

    def fetch(self, outputs: list[Any]) -> dict[str, Array]:
        return {name: outputs[i].numpy() for name, i in self._fetched}

    def advance(self, staged: Staged, outputs: list[Any], inputs: Mapping[str, Array]) -> Staged:
        carried = {in_file: outputs[i] for in_file, i in self._carried}
        return self.stage(inputs, replace(staged, values={**staged.values, **carried}))

    def actual(self) -> Actual:
        """From the profile of a second session. Its times of a GPU's nodes are what the host took to start
        them: they say which operations there are and of what types, and nothing of how long they took."""
        runs, weights = self.profile(), ort_session.weights(self._model)
        seen = [[self._operation(node, weights) for node in nodes] for nodes in runs]
        source = "profile of an untimed session, by what the host took to start a node"
        precision, shares = profiles.weigh(profiles.quickest(seen), source)
        nodes, spent = _by_provider(runs)
        where, share = self._place.provider, nodes.get(self._place.provider, 0.0)
        strays = sorted({node["args"]["op_name"] for node in runs[0] if self._strays(node)})
        told = f"{share:.1%} of the nodes on {where}" + (
            f"; on others: {', '.join(strays)}" if strays else ""
        )
        device = "mixed" if strays else self._target.device if share else "cpu"
        options = self._session.get_session_options()
        return Actual(
            precision=self._judged(precision),
            device=Fact(device, "executed", told),
            provider=Fact(max(nodes, key=lambda name: nodes[name]), "executed", told),
            threads=Fact(str(options.intra_op_num_threads), "reported", "intra_op_num_threads"),
            settings={
                **shares,
                "nodes_by_provider": nodes,
                "time_by_provider": spent,
                "copies": sum(node["args"]["op_name"].startswith("Memcpy") for node in runs[0]),
                "tf32": self._tf32(),
                "graph_optimization_level": options.graph_optimization_level.name,
                **self._settings,
            },
        )

    def _operation(self, node: Mapping[str, Any], weights: str) -> Operation:
        """Of an engine what was asked for: its one node has the types of its edges alone."""
        args, ns = node["args"], node["dur"] * 1e3
        if self._place.engine and args["provider"] == self._place.provider:
            return Operation("engine", runs_as(self._target.arithmetic), ns, True)
        found = ort_session.operation(args, ns, weights)
        return replace(found, precision="tf32") if found.precision == "fp32" and self._tf32() else found

    def _judged(self, precision: Fact) -> Fact:
        """What the profile shows is types; of fp32 also whether TF32 was barred, of an engine what it was
        made of."""
        asked = self._target.arithmetic
        if self._place.engine:
            value = "tf32" if asked == "fp32" and self._tf32() else precision.value
            said = "its networks are of the file's types, and it shows none of its layers"
            return Fact(value, "reported", f"{precision.detail}; {said}")
        if asked in ("fp32", "tf32"):
            said = "TF32 is allowed" if self._tf32() else f"TF32 is barred (use_tf32=0, {TF32_OVERRIDE})"
            evidence = "reported" if precision.value == "tf32" else precision.evidence
            return replace(precision, evidence=evidence, detail=f"{precision.detail}; {said}")
        return precision

    def _tf32(self) -> bool:
        """Whether products of fp32 may be made in TF32: by what provider and process are told."""
        if self._place.provider == CPU or os.environ.get(TF32_OVERRIDE) == "0":
            return False
        said = self._session.get_provider_options().get(self._place.provider, {})
        return bool(said.get("use_tf32", "1") != "0")

    def _strays(self, node: Mapping[str, Any]) -> bool:
        """Whether it is part of the model's arithmetic, and another device's."""
        args = node["args"]
        if args["provider"] != CPU or self._place.provider == CPU or args["op_name"] in OF_SHAPES:
            return False
        return ort_session.operation(args, 1, "").product or _floats(args) > SCALARS

    def _untimed(self, session: ort.InferenceSession) -> Callable[[], Any]:
        untimed = arrays.untimed_inputs(self._io)
        values = {in_file: self._on_device(in_file, untimed[name]) for name, in_file in self._inputs}
        staged = self._bound(session, values)
        return partial(session.run_with_iobinding, staged.binding)

    def _on_device(self, in_file: str, array: Array) -> Any:
        """The array in the file's type. bf16 goes as its bits."""
        element = self._element[in_file]
        if element == "bfloat16":
            array = arrays.bf16_bits(array)
        return self._value.ortvalue_from_numpy(
            np.ascontiguousarray(array, None if element == "bfloat16" else NUMPY.get(element, element)),
            *self._place.device,
        )

    def _bound(self, session: ort.InferenceSession, values: dict[str, Any]) -> Staged:
        binding = session.io_binding()
        for in_file, value in values.items():
            if self._element[in_file] == "bfloat16" and value.element_type() != BF16:
                kind, number = self._place.device[:2]
                binding.bind_input(in_file, kind, number, BF16, value.shape(), value.data_ptr())
            else:
                binding.bind_ortvalue_input(in_file, value)
        if self._io.growing:  # the next step's are longer
            for name in self._wanted:
                binding.bind_output(name, *self._place.device)
            return Staged(binding, values, None)
        outputs = [self._empty(t.name_in_file, t.shape) for t in self._io.outputs]
        for name, value in zip(self._wanted, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        return Staged(binding, values, outputs)

    def _empty(self, in_file: str, shape: tuple[int, ...]) -> Any:
        element = self._element[in_file]
        kind = BF16 if element == "bfloat16" else np.dtype(NUMPY.get(element, element)).type
        return self._value.ortvalue_from_shape_and_type(list(shape), kind, *self._place.device)


class ClockedSession(BoundSession):
    """On a stream of its own, which was given to the provider; events on it give the GPU's own time."""

    def __init__(self, *arguments: Any, clock: Clock) -> None:
        self._clock = clock
        super().__init__(*arguments)

    def _run_options(self) -> Any:
        """ONNX Runtime leaves the waiting to us: the last event stands right behind the last kernel."""
        import onnxruntime as ort

        options = ort.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        return options

    def run(self, staged: Staged) -> list[Any]:
        self._clock.begin()
        self._run(staged.binding, self._how)
        self._clock.end()
        return staged.outputs if staged.outputs is not None else staged.binding.get_outputs()

    def device_ns(self) -> int:
        return self._clock.ns()

    def close(self) -> None:
        super().close()
        self._clock.close()


class GraphSession(BoundSession):
    """Replays a CUDA graph, which reads and writes where it did when it was captured: one set of buffers."""

    staged_sets = 1
    _kept: Staged | None = None

    def stage(self, inputs: Mapping[str, Array], onto: Staged | None = None) -> Staged:
        if self._kept is None:
            self._kept = super().stage(inputs, onto)
            return self._kept
        for name, in_file in self._inputs:
            if name in inputs:
                self._kept.values[in_file].update_inplace(np.ascontiguousarray(inputs[name]))
        return self._kept


def _by_provider(runs: list[list[dict[str, Any]]]) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the nodes of a run, and of the time of all of them."""
    nodes = Counter(node["args"]["provider"] for node in runs[0])
    spent: Counter[str] = Counter()
    for node in chain.from_iterable(runs):
        spent[node["args"]["provider"]] += max(1, node["dur"])
    return _shares(nodes), _shares(spent)


def _shares(parts: Counter[str]) -> dict[str, float]:
    return {name: part / parts.total() for name, part in parts.items()}


def _floats(args: Mapping[str, Any]) -> int:
    """Elements of the largest tensor of floats that a node reads or writes."""
    tensors = chain.from_iterable(t.items() for t in (*args["input_type_shape"], *args["output_type_shape"]))
    return max((int(np.prod(shape)) for kind, shape in tensors if kind in profiles.PRECISIONS), default=0)
