"""TensorFlow on the CPU: a SavedModel's function by its executor and kernels, or compiled by XLA.

Over 150 lines: two variants that are proven from different traces, and a setting of threads for the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.support import arrays, faults, profiles, targets
from backends.tensorflow import profile
from bench.interfaces.backend import (
    Actual,
    BaseBackend,
    BaseSession,
    Capabilities,
    Fact,
    Preset,
    Support,
    Target,
)
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.options import Option
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import runtimes

XLA = "xla"
SIGNATURE = "serving_default"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
NO_INTEGERS = "TensorFlow quantises for TensorFlow Lite; a SavedModel of int8 computes in floats on a CPU"
DEVICES = {
    "cpu": {
        "fp32": Support("native"),
        "bf16": Support("none", "the model file is of fp32"),
        "fp16": Support("none", "the model file is of fp32"),
        "int8:qdq": Support("none", NO_INTEGERS),
        "int8:native": Support("none", NO_INTEGERS),
        "int8-dynamic": Support("none", NO_INTEGERS),
        "int8-weight": Support("none", NO_INTEGERS),
        "int4-weight": Support("none", NO_INTEGERS),
    }
}
Tensors = tuple[Any, ...]


class TensorFlowSession(BaseSession):
    """A function of tensors by place; those of a run are new each time."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        import tensorflow as tf

        self._io, self._settings, self._compiled = io, settings, target.variant == XLA
        self._constant = tf.constant
        self._loaded = _read(model)
        self._infer = _by_place(self._loaded.signatures[SIGNATURE], model, io)
        self._run = self._function()
        self._inputs = tuple((t.name, t.dtype) for t in io.inputs)
        places = {t.name: i for i, t in enumerate(io.outputs)}
        self._fetched = tuple((t.name, places[t.name]) for t in io.fetched)
        if self._compiled:  # when it is first called, as a torch.compile is
            with faults.refusals(
                "XLA cannot compile this function", "--backend tensorflow", tf.errors.OpError
            ):
                self._run(*self.stage(arrays.untimed_inputs(io)))

    def _function(self) -> Any:
        import tensorflow as tf

        return tf.function(self._infer, jit_compile=self._compiled or None, autograph=False)

    def stage(self, inputs: Mapping[str, Array], onto: Tensors | None = None) -> Tensors:
        return tuple(
            self._constant(inputs[name], dtype) if name in inputs else (onto or ())[i]
            for i, (name, dtype) in enumerate(self._inputs)
        )

    def run(self, staged: Tensors) -> Tensors:
        return self._run(*staged)  # type: ignore[no-any-return]

    def fetch(self, outputs: Tensors) -> dict[str, Array]:
        return {name: outputs[i].numpy() for name, i in self._fetched}

    def close(self) -> None:
        del self._run, self._infer, self._loaded

    def actual(self) -> Actual:
        """From TensorFlow's profiler: of a second function of the same graph, or of XLA's instructions."""
        import tensorflow as tf

        staged = self.stage(arrays.untimed_inputs(self._io))
        outputs = self.run(staged)
        if self._compiled:
            text = self._run.experimental_get_compiler_ir(*staged)(stage="optimized_hlo")
            operations = profile.instructions(lambda: self.run(staged), text)
        else:
            again = self._function()
            operations = profile.kernels(lambda: again(*staged))
        precision, shares = profiles.weigh(operations, "TensorFlow's profile of untimed runs")
        products = sorted({one.kind for one in operations if one.product})
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        return Actual(
            precision=precision,
            device=Fact(outputs[0].device.rpartition("device:")[2].split(":")[0].lower(), "reported"),
            provider=Fact("XLA:CPU" if self._compiled else "kernels", "executed", ", ".join(products)),
            threads=Fact(str(threads), "reported", "tf.config.threading: of the pool within operations"),
            settings={**shares, **self._settings},
        )


class SteppingSession(TensorFlowSession):
    """A decoder's cache grows within TensorFlow; XLA would compile anew for each length."""

    def __init__(self, model: ModelFile, target: Target, io: IOSpec, settings: Mapping[str, Any]) -> None:
        super().__init__(model, target, io, settings)
        places = {t.name: i for i, t in enumerate(io.outputs)}
        carried = {into: places[out] for out, into in io.state}
        self._carried = tuple((i, carried[t.name]) for i, t in enumerate(io.inputs) if t.name in carried)

    def advance(self, staged: Tensors, outputs: Tensors, inputs: Mapping[str, Array]) -> Tensors:
        kept = list(staged)
        for place, source in self._carried:
            kept[place] = outputs[source]
        return self.stage(inputs, tuple(kept))


class TensorFlowBackend(BaseBackend):
    name = "tensorflow"
    summary = "TensorFlow's own kernels, or XLA by jit_compile, from a SavedModel."
    formats: tuple[str, ...] = ("saved-model",)
    install = "bakeoff setup tensorflow"
    runtime: tuple[str, ...] = ("tensorflow",)
    variants: Mapping[str, str] = {
        "": "the SavedModel's function under tf.function",
        XLA: "the same under tf.function(jit_compile=True): compiled by XLA for the case's shapes",
    }
    options: Mapping[str, Option] = {ONEDNN: Option("kernels of oneDNN")}
    presets: Mapping[str, Preset] = {
        "stock": Preset({}, "TensorFlow's guide, 'Using the SavedModel format': load, and call a signature"),
        "expert": Preset(
            {ONEDNN: "1"},
            "TensorFlow's release notes, 2.9: oneDNN optimisations, which it switches on by itself on CPUs "
            "with AVX512_VNNI, AVX512_BF16 or AMX alone",
        ),
    }

    def environment(self, target: Target) -> Mapping[str, str]:
        preset = self.presets.get(target.preset, self.presets["stock"])
        asked = {**preset.settings, **target.options}
        onednn = {ONEDNN: str(asked[ONEDNN])} if ONEDNN in asked else {}
        return {**super().environment(target), "TF_CPP_MIN_LOG_LEVEL": "2", **onednn}

    def probe(self) -> Capabilities:
        runtimes.import_runtime(self)
        import tensorflow as tf

        return Capabilities(tf.__version__, DEVICES)

    def load(self, model: ModelFile | None, target: Target, io: IOSpec) -> TensorFlowSession:
        runtimes.import_runtime(self)
        targets.require(self, target, DEVICES)
        settings = targets.settings(self, target)
        model = targets.given(self, model)
        _hold(target.threads)
        session = TensorFlowSession if target.variant == XLA else SteppingSession
        return session(model, target, io, settings)


def _hold(threads: int) -> None:
    """Threads of the process: one that submits operations, and that many within one.

    Raises UnsupportedCase where TensorFlow has started with others.
    """
    import tensorflow as tf

    config = tf.config.threading
    try:
        if config.get_intra_op_parallelism_threads() != threads:
            config.set_intra_op_parallelism_threads(threads)
        if config.get_inter_op_parallelism_threads() != 1:
            config.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise UnsupportedCase(
            f"tensorflow: {threads} threads: {runtimes.first_line(error)}", hint="a process of its own"
        ) from error


def _read(model: ModelFile) -> Any:
    """The SavedModel around a file. Raises ModelFileError."""
    import tensorflow as tf

    try:
        if model.path.name != tf.saved_model.SAVED_MODEL_FILENAME_PB:
            raise OSError("a SavedModel is a folder with saved_model.pb")
        return tf.saved_model.load(str(model.path.parent))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise faults.broken(model, error) from error


def _by_place(signature: Any, model: ModelFile, io: IOSpec) -> Callable[..., Tensors]:
    """A SavedModel's signature as a function of the workload's inputs. Raises ModelFileError."""
    import tensorflow as tf

    specs = signature.structured_input_signature[1]
    names, outputs = ([t.name_in_file.replace(".", "_") for t in side] for side in (io.inputs, io.outputs))
    takes = {name: tf.TensorSpec(t.shape, t.dtype) for name, t in zip(names, io.inputs, strict=True)}
    fits = specs.keys() == takes.keys() and all(specs[n].is_compatible_with(takes[n]) for n in names)
    if not fits or signature.structured_outputs.keys() != set(outputs):
        raise ModelFileError(
            f"{model.path}: takes {list(specs.values())}, the case has {list(takes.values())}",
            hint="delete it and run again: model files are made anew",
        )

    def infer(*inputs: Any) -> Tensors:
        found = signature(**dict(zip(names, inputs, strict=True)))
        return tuple(found[name] for name in outputs)

    return infer


BACKEND = TensorFlowBackend()
