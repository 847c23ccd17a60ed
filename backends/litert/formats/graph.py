"""Reads TensorFlow Lite files and quantises them, for the converters that do. Imports the quantiser late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.interfaces.conversion import samples
from bench.interfaces.converter import Job
from bench.interfaces.recipe import Recipe
from bench.interfaces.tensors import Array
from bench.interfaces.workload import CALIBRATION_SEED
from bench.machine.topology import usable_cpus

# Operators that multiply, with the place of their weights.
PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")
WEIGHT = 1
SIGNATURE = "serving_default"
TYPES = {"INT8": "int8", "UINT8": "int8", "INT4": "int4", "FLOAT32": "float", "FLOAT16": "float"}

LAYERS, ATTENTION = ("FULLY_CONNECTED",), ("BATCH_MATMUL",)
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")

Rules = list[dict[str, Any]]  # as ai-edge-quantizer has them


def weights(path: Path) -> Counter[str]:
    """Type (`int8`, `int4`, `float`) → elements of all weights of matrix products and convolutions."""
    from ai_edge_litert import schema_py_generated as schema

    operators = _names(schema.BuiltinOperator)
    types = _names(schema.TensorType)
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    kinds = [operators[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    found: Counter[str] = Counter()
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        nodes = [graph.Operators(i) for i in range(graph.OperatorsLength())]
        makers = {tensor: node for node in nodes for tensor in node.OutputsAsNumpy().tolist()}
        for node in nodes:
            if kinds[node.OpcodeIndex()] not in PRODUCTS:
                continue
            place = int(node.InputsAsNumpy()[WEIGHT])
            while place in makers and kinds[makers[place].OpcodeIndex()] == "DEQUANTIZE":
                place = int(makers[place].InputsAsNumpy()[0])
            tensor = graph.Tensors(place)
            buffer = model.Buffers(tensor.Buffer())
            if buffer.DataLength() or buffer.Size():  # within the flatbuffer, or behind it
                elements = int(np.prod(tensor.ShapeAsNumpy(), dtype=np.int64))
                found[TYPES.get(types[tensor.Type()], "other")] += elements
    return found


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def calibration(job: Job) -> Iterator[dict[str, Array]]:
    """Calibration inputs at the shape of the file, under its names."""
    workload = job.workload
    batch, length = job.facts["batch"], job.facts["length"]
    names = [spec.name for spec in workload.io(batch, length).inputs]
    singles = list(samples(job.parents["calibration"].path))
    if length != workload.default_length:  # the same sentences at another length
        made = workload.inputs(len(singles), length, CALIBRATION_SEED)
        singles = [{name: made[name][i : i + 1] for name in names} for i in range(len(singles))]
    for start in range(0, len(singles), batch):
        chosen = [singles[i % len(singles)] for i in range(start, start + batch)]
        arrays = [np.concatenate([one[name] for one in chosen]) for name in names]
        yield {f"args_{i}": _narrow(array) for i, array in enumerate(arrays)}


def _narrow(array: Array) -> Array:
    return array.astype(np.int32) if array.dtype == np.int64 else array


def operations(recipe: Recipe) -> tuple[str, ...]:
    """The operations that a recipe takes: all, or products by name."""
    if recipe.besides == "sums":
        return ("*",)
    return (*LAYERS, *CONVOLUTIONS * recipe.convolutions, *ATTENTION * recipe.attention)


def quantise(path: Path, output: Path, rules: Rules, inputs: Sequence[Mapping[str, Array]] = ()) -> None:
    """Writes the file quantised by rules; static ones take their ranges from `inputs`: the least and the
    greatest value over all of them."""
    from ai_edge_quantizer import calibrator, quantizer, recipe_manager

    tool = quantizer.Quantizer(str(path), rules)
    ranges = None
    if inputs:
        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(rules)
        # Its own way is a moving average, which forgets the first samples.
        observed = calibrator.Calibrator(str(path), usable_cpus(), qsv_update_func=_wider)
        observed.calibrate({SIGNATURE: list(inputs)}, manager)
        ranges = observed.get_model_qsvs()
    tool.quantize(ranges).export_model(str(output))


def _wider(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    if not one:
        return other
    return {"min": np.minimum(one["min"], other["min"]), "max": np.maximum(one["max"], other["max"])}
