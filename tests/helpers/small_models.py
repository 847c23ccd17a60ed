"""One small workload of each family, and their model files and bands in every precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.interfaces.backend import Session, Target
from bench.interfaces.converter import Parent
from bench.interfaces.precision import scheme, word
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import ModelFile
from bench.interfaces.workload import Band, traits
from bench.machine.instructions import products_saturate
from bench.plugins import backend_registry
from bench.plugins.converter_registry import converters
from bench.prepare.graph import recipe_of
from bench.prepare.jobs import job
from bench.worker import verify
from tests.helpers.families import Made, known, make
from workloads.bert import BertConfig, BertEncoder
from workloads.cnn import ResNet, ResNetConfig
from workloads.llama import LlamaConfig, LlamaDecode, LlamaPrefill

CNN = ResNet("small-cnn", "two stages on 32×32", ResNetConfig(blocks=(2, 1), width=32, classes=10, image=32))
ENCODER = BertEncoder(
    "small-encoder",
    "two layers",
    BertConfig(layers=2, hidden=192, heads=4, ffn=384, vocabulary=400, positions=64),
    default_length=24,
)
LLAMA = LlamaConfig(layers=2, hidden=64, heads=4, kv_heads=2, ffn=128, vocabulary=300, positions=256)
DECODER = LlamaDecode("small-decoder", "two layers", LLAMA)
PREFILL = LlamaPrefill("small-decoder", "two layers", LLAMA)
FAMILIES = ("cnn", "encoder", "decoder")
WORKLOADS: dict[str, Any] = {"cnn": CNN, "encoder": ENCODER, "decoder": DECODER, "prefill": PREFILL}
# What rounding leaves of so small a decoder, in int4 or by NNCF, says nothing of a large one; nor does NNCF's
# bias correction on so small a CNN.
TOO_SMALL = [("decoder", "int4-weight"), ("decoder", "int8:native")]
Cell = tuple[str, str, str]  # key of WORKLOADS, backend, precision
CELLS: list[Cell] = [
    ("cnn", "onnxruntime", "int8:qdq"),
    ("cnn", "onnxruntime", "int8-dynamic"),
    ("cnn", "openvino", "int8:qdq"),
    *(
        (family, backend, precision)
        for family in ("encoder", "decoder")
        for backend, precision in (
            ("torch", "int8-dynamic"),
            ("onnxruntime", "int8:qdq"),
            ("onnxruntime", "int8-dynamic"),
            ("onnxruntime", "int8-weight"),
            ("onnxruntime", "int4-weight"),
            ("openvino", "int8:qdq"),
            ("openvino", "int8:native"),
            ("openvino", "int8-weight"),
            ("openvino", "int4-weight"),
        )
        if (family, precision) not in TOO_SMALL
    ),
]


@dataclass
class Kitchen:
    """Makes what a cell needs, once. Workloads go by their key in WORKLOADS."""

    root: Path
    plain: dict[str, Made] = field(default_factory=dict)
    files: dict[Cell, Path] = field(default_factory=dict)
    bands: dict[tuple[str, str, Recipe | None], Band] = field(default_factory=dict)

    def made(self, name: str) -> Made:
        if name not in self.plain:
            folder = self.root / name
            folder.mkdir()
            kinds = ("origin", "reference", "calibration", "exported", "torch-graph", "onnx")
            self.plain[name] = make(WORKLOADS[name], folder, *kinds)
        return self.plain[name]

    def convert(self, name: str, kind: str, precision: str, recipe: Recipe | None = None) -> Any:
        """Facts and main file of another artefact; of a model file by its own recipe where none is given."""
        made = self.made(name)
        usual = self.root / f"{name}-{kind}-{precision.replace(':', '-')}"
        usual.mkdir(exist_ok=True)
        folder = Path(mkdtemp(dir=usual)) if recipe else usual
        converter = converters()[kind]
        parents = {k: Parent(path, "", made.facts[k]) for k, path in made.files.items()}
        facts = {"samples": 8, "length": made.workload.default_length, "batch": 1, "precision": precision}
        facts["narrow"] = products_saturate()
        facts["recipe"] = recipe or (converter.recipe(traits(made.workload)) if converter.recipe else None)
        axes = {axis: facts[axis] for axis in converter.axes}
        with known(made.workload):
            told = job(kind, made.workload.name, "", axes, parents, folder / converter.file)
            return converter.make(told), told.output

    def file(self, name: str, backend: str, precision: str) -> ModelFile:
        """The model file that a backend takes for a precision."""
        arithmetic = Target(precision=precision).arithmetic
        runtime = backend_registry.get(backend)
        (kind,) = runtime.quantised[word(arithmetic)] if scheme(arithmetic) else runtime.formats
        made = self.made(name)
        if kind in made.files:
            return ModelFile(kind, made.files[kind], "")
        key = (name, kind, arithmetic if "weight" in kind else "")
        if key not in self.files:
            _, self.files[key] = self.convert(name, kind, arithmetic)
        return ModelFile(kind, self.files[key], "")

    def band(self, name: str, precision: str, backend: str = "torch") -> Band:
        """Of what a backend loads for a precision; in floats of all."""
        target = Target(precision=precision)
        if target.arithmetic == "fp32":
            return self.made(name).band
        recipe = None
        if scheme(target.arithmetic):
            runtime = backend_registry.get(backend)
            recipe = recipe_of(runtime, runtime.takes(target)[0], target, traits(WORKLOADS[name]))
        key = name, target.arithmetic, recipe
        if key not in self.bands:
            facts, _ = self.convert(name, "band", target.arithmetic, recipe)
            self.bands[key] = Band(**facts["band"])
        return self.bands[key]

    @contextmanager
    def opened(self, name: str, backend: str, precision: str, file: ModelFile) -> Iterator[Session]:
        """A session of that file at batch 1."""
        workload = WORKLOADS[name]
        io = workload.io(1, workload.default_length)
        with backend_registry.get(backend).load(file, Target(precision=precision), io) as session:
            yield session

    def error(self, name: str, session: Session) -> verify.Verification:
        """Of all samples of the reference."""
        reference = self.made(name).reference
        return verify.check(reference, lambda x: session.fetch(session.run(session.stage(x))), 1)

    def check(self, name: str, backend: str, precision: str, file: ModelFile) -> verify.Verification:
        """The error of that file on that backend."""
        with self.opened(name, backend, precision, file) as session:
            return self.error(name, session)
