"""A recipe is data that a file and its band share: what changes in it changes both."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from backends.formats import onnx_fp8
from bench.interfaces.backend import Target
from bench.interfaces.case import Case
from bench.interfaces.plain import as_dict
from bench.interfaces.precision import scheme
from bench.interfaces.recipe import Recipe
from bench.interfaces.workload import Traits, Workload, traits
from bench.plugins import converter_registry, workload_registry
from bench.plugins.converter_registry import converters
from bench.prepare import graph, jobs
from tests.helpers.families import known
from tests.helpers.small_models import CNN, DECODER, ENCODER, PREFILL, WORKLOADS, Kitchen

QDQ = Recipe("outputs", attention=True, convolutions=False)  # of transformers without a cache


def made(kitchen: Kitchen, name: str, kind: str, precision: str, recipe: Recipe) -> tuple[bytes, float]:
    """Bytes of the model file (of a graph in XML those of its constants: its names are numbered through), and
    the error of the band's run."""
    _, path = kitchen.convert(name, kind, precision, recipe)
    files = sorted(one for one in Path(path).parent.iterdir() if one.suffix != ".xml")
    facts, _ = kitchen.convert(name, "band", precision, recipe)
    return b"".join(one.read_bytes() for one in files), facts["torch"]["error"]


@pytest.mark.parametrize(
    ("name", "kind", "precision", "changes"),
    [
        (
            "encoder",
            "onnx-qdq",
            "int8:qdq",
            [{"besides": "sums"}, {"besides": "nothing"}, {"attention": False}, {"symmetric": True}],
        ),
        ("encoder", "onnx-qdq-symmetric", "int8:native", [{"besides": "outputs"}, {"symmetric": False}]),
        ("encoder", "onnx-dynamic", "int8-dynamic", [{"attention": True}]),
        (
            "encoder",
            "openvino-int8",
            "int8:native",
            [{"besides": "sums"}, {"attention": False}, {"symmetric": True}],
        ),
        ("cnn", "openvino-int8", "int8:native", [{"least_side": 16}, {"most_window": 9}]),
        ("cnn", "onnx-fp8", "fp8:qdq", [{"least_side": 64}, {"most_window": 1}, {"multiple": 64}]),
    ],
)
def test_one_field_changes_the_file_and_the_band(
    kitchen: Kitchen, name: str, kind: str, precision: str, changes: list[dict[str, Any]]
) -> None:
    of = converters()[kind].recipe
    assert of is not None
    usual = of(traits(WORKLOADS[name]))
    file, error = made(kitchen, name, kind, precision, usual)
    assert made(kitchen, name, kind, precision, replace(usual)) == (file, error), (
        "of equal recipes equal files"
    )
    for change in changes:
        other_file, other_error = made(kitchen, name, kind, precision, replace(usual, **change))
        assert other_file != file, change
        assert other_error != error, change


def case(workload: Workload, backend: str, precision: str) -> Case:
    content = graph.content_for(workload.name)
    return Case(workload.name, content, 1, workload.default_length, backend, Target(precision=precision))


def recipes(node: graph.Node) -> Recipe:
    return dict(node.facts)["recipe"]


def test_a_case_needs_a_file_and_a_band_of_one_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    with known(ENCODER):
        before = graph.needs(case(ENCODER, "onnxruntime", "int8:qdq")).nodes
        assert recipes(before["model"]) == recipes(before["band"]) == QDQ
        other = Recipe("nothing", least_side=8)
        changed = replace(converters()["onnx-qdq"], recipe=lambda traits: other)
        monkeypatch.setattr(
            graph, "converters", lambda: {**converter_registry.converters(), "onnx-qdq": changed}
        )
        after = graph.needs(case(ENCODER, "onnxruntime", "int8:qdq")).nodes
        assert recipes(after["model"]) == recipes(after["band"]) == other
        assert {role for role in before if before[role] != after[role]} == {"model", "band"}


def test_equal_recipes_share_a_band_and_others_do_not() -> None:
    def band(backend: str, precision: str) -> graph.Node:
        return graph.needs(case(ENCODER, backend, precision)).nodes["band"]

    with known(ENCODER):
        assert band("onnxruntime", "int8:qdq") == band("openvino", "int8:qdq")
        natives = {
            band(name, "int8:native") for name in ("torch", "openvino", "litert", "executorch", "tensorrt")
        }
        assert len(natives) == 5
        assert band("torch", "bf16") == band("onnxruntime-gpu", "bf16"), "floats have no recipe"


def test_what_quantises_while_loading_says_its_recipe_and_what_says_none_has_products() -> None:
    with known(ENCODER):
        found = [graph.needs(case(ENCODER, "torch", one)).nodes for one in ("int8-dynamic", "fp8-dynamic")]
        assert [recipes(one["band"]) for one in found] == [
            Recipe(convolutions=False),
            Recipe(symmetric=True, convolutions=False, multiple=16),
        ]
        assert "recipe" not in dict(found[0]["model"].facts), "a file of floats"
        assert recipes(graph.needs(case(ENCODER, "reference", "int8-dynamic")).nodes["band"]) == Recipe()


def test_a_recipe_travels_as_plain_data(tmp_path: Path) -> None:
    recipe = Recipe("sums", attention=True, most_window=9)
    with known(CNN):
        told = {
            "kind": "band",
            "workload": CNN.name,
            "weights": "",
            "facts": as_dict({"precision": "int8:qdq", "recipe": recipe}),
            "parents": {},
            "output": str(tmp_path / "band.json"),
        }
        assert jobs.from_dict(told).recipe == recipe
        told["facts"] = {"precision": "bf16", "recipe": None}
        assert jobs.from_dict(told).facts["recipe"] is None


def test_a_converter_that_has_a_recipe_depends_on_it() -> None:
    for converter in converters().values():
        assert (converter.recipe is not None) == (converter.model and "recipe" in converter.axes), (
            converter.kind
        )
        assert converter.recipe is None or not {"reference", "band"} & set(converter.parents)


def test_every_file_that_is_taken_for_a_quantised_precision_has_a_recipe() -> None:
    from bench.interfaces.backend import Quantising
    from bench.plugins import backend_registry

    for name in backend_registry.names("runtime"):
        backend = backend_registry.get(name)
        kinds = [kind for one, kinds in backend.quantised.items() if scheme(one) for kind in kinds]
        assert isinstance(backend, Quantising) or all(converters()[kind].recipe for kind in kinds), name


@pytest.mark.parametrize(
    ("shape", "groups", "taken"),
    [
        ((16, 16, 3, 3), 1, True),
        ((64, 32, 4, 8), 1, True),
        ((64, 3, 3, 3), 1, False),
        ((8, 32, 1, 1), 1, False),
        ((64, 64, 7, 7), 1, False),
        ((64, 32, 3, 3), 2, False),
        ((16, 40), 1, True),
        ((64, 2), 1, False),
    ],
)
def test_limits_leave_products_in_floats(shape: tuple[int, ...], groups: int, taken: bool) -> None:
    assert onnx_fp8.RECIPE.takes(shape, groups) == taken
    assert Recipe().takes(shape, groups)
    assert Recipe(convolutions=False).takes(shape, groups) == (len(shape) == 2)


def test_every_field_is_told_to_people_or_a_limit() -> None:
    assert str(Recipe("sums", attention=True)) == "of sums, attention"
    assert str(Recipe()) == "of products"
    assert len(fields(Recipe)) == 8


@pytest.mark.parametrize(
    ("workload", "found"),
    [
        (CNN, Traits(convolutional=True)),
        (ENCODER, Traits()),
        (DECODER, Traits(stateful=True)),
        (PREFILL, Traits(stateful=True)),
    ],
)
def test_traits_are_what_inputs_and_outputs_show(workload: Workload, found: Traits) -> None:
    assert traits(workload) == found


def test_traits_of_all_that_is_listed() -> None:
    found = {name: traits(workload_registry.get(name)) for name in workload_registry.names()}
    assert {name for name, one in found.items() if one.convolutional} == {"resnet50", "mobilenet-v2"}
    assert {name for name, one in found.items() if one.stateful} == {
        "llama-small:prefill",
        "llama-small:decode",
    }


def test_a_workload_may_tell_its_traits_itself() -> None:
    """A transformer that reads images would be taken for a network of convolutions."""

    class Vision(type(CNN)):  # type: ignore[misc]
        traits = Traits()

    vision = Vision("vision", "", CNN.architecture)
    assert traits(vision) == Traits()
