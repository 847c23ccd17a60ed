from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.interfaces.errors import ModelFileError
from bench.interfaces.workload import Band
from bench.prepare import bands
from bench.worker import verify

N = 8


@pytest.fixture
def reference(tmp_path: Path) -> verify.Reference:
    generator = np.random.default_rng(0)
    inputs = {"x": generator.standard_normal((N, 3)).astype(np.float32)}
    outputs = {"y": generator.standard_normal((N, 2, 5)) + 100.0, "z": generator.standard_normal((N, 4))}
    verify.save_reference(tmp_path / "r.npz", inputs, outputs)
    return verify.load_reference(tmp_path / "r.npz")


def everything(reference: verify.Reference, **changed: np.ndarray) -> verify.Verification:
    outputs = {name: array.astype(np.float32) for name, array in reference.outputs.items()}
    return verify.compare(reference, {**outputs, **changed}, np.arange(N))


def test_a_right_output_has_its_rounding_error(reference: verify.Reference) -> None:
    found = everything(reference)
    assert 0 < found.error < 1e-5
    assert found.cosine == pytest.approx(1, abs=1e-9)
    exact = verify.compare(reference, reference.outputs, np.arange(N))
    assert (exact.error, exact.max_abs) == (0, 0)


def test_the_formula(reference: verify.Reference) -> None:
    y = reference.outputs["y"].copy()
    y[3, 1, 2] += 0.25
    found = verify.compare(reference, {**reference.outputs, "y": y}, np.arange(N))
    mean = reference.outputs["y"].mean(axis=0)
    assert found.error == pytest.approx(0.25 / np.linalg.norm(reference.outputs["y"][3] - mean))
    assert found.max_abs == pytest.approx(0.25)


def test_an_output_that_ignores_its_input_has_an_error_of_one(reference: verify.Reference) -> None:
    mean = np.broadcast_to(reference.outputs["y"].mean(axis=0), (N, 2, 5)).astype(np.float32)
    found = everything(reference, y=mean)
    assert found.error >= 1 - 1e-5
    assert found.cosine > 0.99  # which the cosine alone does not see
    first = np.broadcast_to(reference.outputs["y"][0], (N, 2, 5))
    assert everything(reference, y=first).error >= 1


def test_the_worst_sample_and_output_count(reference: verify.Reference) -> None:
    z = reference.outputs["z"].copy()
    z[7] = -z[7]
    found = everything(reference, z=z)
    assert found.cosine == pytest.approx(-1)
    assert found.error > 1
    assert found.max_abs == pytest.approx(2 * np.abs(reference.outputs["z"][7]).max())


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        (np.full((N, 4), np.nan, np.float32), "32 of 32 values that are not finite"),
        (np.full((N, 4), np.inf), "not finite"),
        (np.zeros((N, 5), np.float32), "shape (8, 5), not (8, 4)"),
        (np.zeros((N, 4), np.int32), "dtype int32"),
    ],
)
def test_what_cannot_be_compared(reference: verify.Reference, changed: np.ndarray, note: str) -> None:
    found = everything(reference, z=changed)
    assert (found.error, found.max_abs, found.cosine) == (math.inf, math.inf, -1.0)
    assert note in found.note
    assert "'z'" in verify.judge(found, Band(0, 1))


def test_a_missing_output(reference: verify.Reference) -> None:
    found = verify.compare(reference, {"y": reference.outputs["y"]}, np.arange(N))
    assert found.error == math.inf
    assert "'z' is missing" in found.note
    assert verify.worst([]) == verify.Verification(math.inf, math.inf, -1.0, "no output was compared")


def test_the_worst_is_taken_figure_by_figure() -> None:
    some = [
        verify.Verification(0.1, 5, 0.9),
        verify.Verification(0.3, 2, 0.5),
        verify.Verification(0.2, 3, 0.7),
    ]
    assert verify.worst(some) == verify.Verification(0.3, 5, 0.5, "")
    noted = [*some, verify.Verification(math.inf, math.inf, -1, "first"), replace(some[0], note="second")]
    assert verify.worst(noted) == verify.Verification(math.inf, math.inf, -1, "first")


def test_the_cosine_of_zeros_is_none_and_that_of_short_outputs_counts(reference: verify.Reference) -> None:
    zeros = everything(reference, z=np.zeros((N, 4), np.float32))
    assert zeros.cosine == 0
    assert zeros.error >= 0.5
    scaled = everything(reference, z=(reference.outputs["z"] * 1e-3).astype(np.float32))
    assert scaled.cosine == pytest.approx(1)


def answering(reference: verify.Reference, **changed: np.ndarray) -> Any:
    """A model that gives the reference's outputs, some changed: it knows its input by heart."""
    known = {x.tobytes(): i for i, x in enumerate(reference.inputs["x"])}
    outputs = {name: array.astype(np.float32) for name, array in reference.outputs.items()} | changed

    def infer(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = [known[x.tobytes()] for x in inputs["x"]]
        return {name: array[rows] for name, array in outputs.items()}

    return infer


@pytest.mark.parametrize("batch", [1, 3, 8, 20])
def test_outputs_that_ignore_their_input_are_counted(reference: verify.Reference, batch: int) -> None:
    right = verify.check(reference, answering(reference), batch)
    assert right == replace(everything(reference), repeated=0)
    first = {name: np.broadcast_to(array[:1], array.shape) for name, array in reference.outputs.items()}
    constant = verify.check(reference, answering(reference, **first), batch)
    assert constant.repeated == N
    assert constant.error >= 1
    said = verify.judge(constant, Band(0, 10))  # however wide the band is
    assert "outputs of 8 verification inputs are the same to the bit" in said


def test_two_of_eight_outputs_that_are_the_same(reference: verify.Reference) -> None:
    twice = {name: array.copy() for name, array in reference.outputs.items()}
    for array in twice.values():
        array[5] = array[2]
    assert verify.check(reference, answering(reference, **twice), 1).repeated == 2
    del twice["z"]  # one output of two that differs tells the samples apart
    assert verify.check(reference, answering(reference, **twice), 1).repeated == 0


@pytest.mark.parametrize(("apart", "repeated"), [(0.09, 0), (0.11, 2)])
def test_outputs_may_be_the_same_where_the_references_nearly_are(
    tmp_path: Path, apart: float, repeated: int
) -> None:
    inputs = {"x": np.arange(3, dtype=np.float32)[:, None]}
    y = np.array([[0.0, 0.0], [0.0, 0.0], [300.0, 0.0]])
    y[1, 1] = apart * verify.norms(y)[:2].max()
    verify.save_reference(tmp_path / "r.npz", inputs, {"y": y})
    reference = verify.load_reference(tmp_path / "r.npz")
    coarse = y[[0, 0, 2]].astype(np.float32)
    assert verify.check(reference, answering(reference, y=coarse), 1).repeated == repeated


def test_an_output_without_samples_is_only_incomparable(reference: verify.Reference) -> None:
    found = verify.check(reference, lambda inputs: {"y": np.float32(1)}, 1)  # type: ignore[arg-type, dict-item]
    assert found.repeated == 0
    assert "missing" in found.note or "shape" in found.note


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 20])
def test_batches_cover_every_sample(reference: verify.Reference, batch: int) -> None:
    seen: list[int] = []
    for inputs, samples in reference.batches(batch):
        assert inputs["x"].shape == (batch, 3)
        assert inputs["x"].flags.c_contiguous
        np.testing.assert_array_equal(inputs["x"], reference.inputs["x"][samples])
        seen.extend(samples)
    assert set(seen) == set(range(N))
    assert len(seen) < N + batch


def test_norms_of_what_does_not_vary() -> None:
    same = np.ones((3, 4)) * 5
    np.testing.assert_allclose(verify.norms(same), 10)  # against itself
    np.testing.assert_allclose(verify.norms(np.zeros((3, 4))), 2)  # against ones
    np.testing.assert_allclose(verify.norms(np.array([[3.0, 4.0]])), 5)  # one sample
    np.testing.assert_allclose(verify.norms(np.array([[0.3, 0.4]])), 0.5)  # a small one
    hardly = np.array([[1000.0, 0.0], [1000.0, 0.2]])  # varies by 1e-4 of itself
    np.testing.assert_allclose(verify.norms(hardly), 1000)
    np.testing.assert_allclose(verify.norms(hardly * [1, 20]), 2)


@pytest.mark.parametrize("error", [0.0, 1e-7, 1e-4])
def test_inside_an_fp32_band(error: float) -> None:
    assert verify.judge(verify.Verification(error, 0, 1), Band(0, 1e-4)) == ""


@pytest.mark.parametrize(
    ("error", "says"), [(0.3, "over the band's 0.1 (3 times)"), (1e-7, "did not run"), (math.nan, "over")]
)
def test_outside_a_band_on_both_sides(error: float, says: str) -> None:
    assert says in verify.judge(verify.Verification(error, 0, 1), Band(1e-5, 0.1))


def test_bands_follow_their_rule() -> None:
    small, large = bands.fp32_band(1e-9), bands.fp32_band(1e-5)
    assert small.high == bands.FP32_FACTOR * bands.LEAST_ERROR
    assert large.high == pytest.approx(bands.FP32_FACTOR * 1e-5)
    assert (small.low, large.low) == (0, 0)
    reduced = bands.reduced_band("bf16", 0.01, large)
    assert (reduced.low, reduced.high) == (large.high, pytest.approx(0.03))
    for text in (large.rule, reduced.rule):
        assert "torch" in text
    with pytest.raises(ValueError, match="no band"):
        bands.reduced_band("bf16", 1e-6, large)
    edge = Band(0.0, 0.75)
    assert bands.reduced_band("bf16", 0.26, edge).low == 0.75
    for unusable in (0.25, math.inf, math.nan):
        with pytest.raises(ValueError, match="no band"):
            bands.reduced_band("bf16", unusable, edge)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 but cut off"])
def test_a_broken_reference(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"broken\.npz"):
        verify.load_reference(path)
    with pytest.raises(ModelFileError, match=r"missing\.npz") as raised:
        verify.load_reference(tmp_path / "missing.npz")
    assert raised.value.hint == "bakeoff run"


@pytest.mark.parametrize(
    "keys", [["in:x"], ["in:x", "out:y"], ["in:x", "norm:y"], ["out:y", "norm:z"], ["other:y"]]
)
def test_a_reference_without_outputs_or_norms_is_none(tmp_path: Path, keys: list[str]) -> None:
    np.savez(tmp_path / "r.npz", **{key: np.zeros(1) for key in keys})
    with pytest.raises(ModelFileError, match="not a reference file"):
        verify.load_reference(tmp_path / "r.npz")


def test_names_may_hold_colons(tmp_path: Path) -> None:
    verify.save_reference(tmp_path / "r.npz", {"a:b:0": np.zeros((2, 1))}, {"c:d:1": np.eye(2)})
    found = verify.load_reference(tmp_path / "r.npz")
    assert (list(found.inputs), list(found.outputs), list(found.norms)) == (["a:b:0"], ["c:d:1"], ["c:d:1"])
