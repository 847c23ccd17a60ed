"""Helpers of the workload tests: the converters called in this process, and models broken in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.interfaces.converter import Parent
from bench.interfaces.workload import Band, Workload
from bench.plugins import workload_registry
from bench.plugins.converter_registry import converters
from bench.prepare.jobs import job
from bench.worker import verify


@dataclass(frozen=True)
class Made:
    """What the converters made of a workload: kind → main file and facts."""

    workload: Workload
    files: Mapping[str, Path]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def reference(self) -> verify.Reference:
        return verify.load_reference(self.files["reference"])

    @property
    def band(self) -> Band:
        return Band(**self.facts["reference"]["band"])

    def module(self) -> Any:
        """The module with the origin's weights, fp32."""
        from safetensors.torch import load_file

        module = self.workload.build()
        module.load_state_dict(load_file(self.files["origin"]))
        return module

    def error(self, module: Any, **replaced: Any) -> verify.Verification:
        """A torch run of all samples against the reference; `replaced` inputs instead of the reference's."""
        import torch

        reference = self.reference
        inputs = {**reference.inputs, **replaced}
        name = self.workload.io(1, self.workload.default_length).outputs[0].name
        with torch.inference_mode():
            output = module(*(torch.from_numpy(array) for array in inputs.values())).numpy()
        return verify.compare(reference, {name: output}, np.arange(reference.count))


@contextmanager
def known(*workloads: Workload) -> Iterator[None]:
    """The registry holds these workloads alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workload_registry, "_found", lambda: {w.name: w for w in workloads})
        yield


def make(workload: Workload, folder: Path, *kinds: str, weights: str = "") -> Made:
    """Runs the converters of these kinds, in this order."""
    parents: dict[str, Parent] = {}
    facts = {
        "samples": 8,
        "length": workload.default_length,
        "batch": 2,
        "precision": "bf16",
        "narrow": False,
        "recipe": None,
    }
    with known(workload):
        for kind in kinds:
            converter = converters()[kind]
            axes = {axis: facts[axis] for axis in converter.axes}
            told = job(kind, workload.name, weights, axes, dict(parents), folder / converter.file)
            parents[kind] = Parent(told.output, "", converter.make(told))
    return Made(workload, {k: p.path for k, p in parents.items()}, {k: p.facts for k, p in parents.items()})


def breakages(module: Any, name: str) -> Iterator[str]:
    """Breaks the weight of that name in one place at a time, yielding what was done; mends it after each."""
    import torch

    weight = module.get_parameter(name)
    whole = weight.detach().clone()
    flat = weight.data.view(-1)
    typical = int((flat.abs() - flat.abs().median()).abs().argmin())
    with torch.no_grad():
        flat[typical] *= -1
        yield f"{name}: sign of weight {typical}"
        weight.copy_(whole)
        if weight.shape[1] > 1:  # a depthwise convolution has one
            weight[:, :2] = whole[:, [1, 0]]
            yield f"{name}: input channels 0 and 1"
        if weight.shape[-1] == weight.shape[-2] != 1:
            weight.copy_(whole.transpose(-1, -2))
            yield f"{name}: transposed"
        weight.copy_(whole.half().float())
        yield f"{name}: fp16"
        weight.copy_(whole)


def onnx_error(made: Made, batch: int) -> verify.Verification:
    """The ONNX file on ONNX Runtime against the reference."""
    import onnxruntime

    session = onnxruntime.InferenceSession(made.files["onnx"], providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return verify.worst(
        verify.compare(made.reference, dict(zip(outputs, session.run(None, inputs), strict=True)), samples)
        for inputs, samples in made.reference.batches(batch)
    )


def degeneration(made: Made) -> None:
    """Asserts that a classifier's activations live, keep their scale, and that outputs answer inputs."""
    import torch

    module, seen = made.module(), {}
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.ReLU | torch.nn.ReLU6):
            layer.register_forward_hook(lambda _l, _i, out, name=name: seen.update({name: out}))
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert not torch.allclose(layer.running_var, torch.ones(()))
    assert made.error(module).error < 1e-5
    for name, out in seen.items():
        assert 0.3 < float((out > 0).float().mean()) < 0.95, name
        dead = (out.amax(dim=(0, 2, 3)) <= 0).float().mean()
        assert float(dead) < 0.02, name
        assert 0.2 < float(out.std()) < 5, name
    logits = made.reference.outputs["logits"]
    assert 1 < logits.std() < 4
    assert len(set(logits.argmax(axis=1))) >= 4
    assert (verify.norms(logits) > 0.3 * np.linalg.norm(logits, axis=1)).all()
