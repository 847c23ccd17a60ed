"""Is an output right? Its error against an fp64 reference, within the band that its precision may show.

Standard library and NumPy alone: this runs in workers.

The error of one output of one sample is ‖y − r‖₂ / norm, where r is the reference and norm is
‖r − r̄‖₂ with r̄ the mean of r over all reference samples: the part of the output that answers the input.
A model that ignores its input therefore has an error of at least 1, however large its constant part is.
The figure of a case is the worst over samples and outputs.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.interfaces.errors import ModelFileError
from bench.interfaces.tensors import Array
from bench.interfaces.workload import Band

LEAST_SAMPLES = 8
DEGENERATE = 1e-3  # a reference that varies less than this part of itself is measured against itself
DISTINCT = 0.1  # references further apart than this part of their norm have no output in common

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison found, worst over samples and outputs.

    Attributes:
        error: relative, as the module says; inf for outputs that cannot be compared.
        max_abs: largest absolute difference of one element, in the output's own unit.
        cosine: least cosine between output and reference.
        note: a sentence where the outputs cannot be compared (missing, non-finite, wrong shape or dtype).
        repeated: samples whose outputs are those of another to the bit, though their references lie apart.
    """

    error: float
    max_abs: float
    cosine: float
    note: str = ""
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """Inputs and fp64 outputs of n samples.

    Attributes:
        inputs: name → [n, …], dtypes of the workload's IOSpec.
        outputs: name → [n, …] float64.
        norms: name → [n] float64, what an error is relative to.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Floats]
    norms: Mapping[str, Floats]

    @property
    def count(self) -> int:
        return len(next(iter(self.outputs.values())))

    def batches(self, batch: int) -> Iterator[tuple[dict[str, Array], Indices]]:
        """All samples, `batch` at a time, as (inputs, which samples they are); the last batch is filled
        up with the first samples again."""
        for start in range(0, self.count, batch):
            indices = np.arange(start, start + batch) % self.count
            yield {name: np.ascontiguousarray(array[indices]) for name, array in self.inputs.items()}, indices


def norms(outputs: Floats) -> Floats:
    """What the errors of n samples are relative to: ‖r − r̄‖₂, [n, …] → [n].

    Where that is under DEGENERATE of ‖r‖₂ (one sample, or an output that does not depend on the input)
    it is ‖r‖₂, and for an output of zeros the norm of a vector of ones.
    """
    flat = outputs.reshape(len(outputs), -1)
    varying = np.linalg.norm(flat - flat.mean(axis=0), axis=1)
    whole = np.linalg.norm(flat, axis=1)
    whole = np.where(whole > 0, whole, math.sqrt(flat.shape[1]))
    return np.where(varying > DEGENERATE * whole, varying, whole)


def save_reference(path: Path, inputs: Mapping[str, Array], outputs: Mapping[str, Floats]) -> None:
    """Writes the npz that `load_reference` reads: keys `in:NAME`, `out:NAME` and `norm:NAME`."""
    arrays: dict[str, Array] = {f"in:{name}": array for name, array in inputs.items()}
    for name, array in outputs.items():
        arrays[f"out:{name}"] = array
        arrays[f"norm:{name}"] = norms(array)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for its own flags


def load_reference(path: Path) -> Reference:
    """Raises ModelFileError where the file is missing or is no reference."""
    parts: dict[str, dict[str, Array]] = {"in": {}, "out": {}, "norm": {}}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                kind, name = key.split(":", 1)
                parts[kind][name] = archive[key]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{path}: not a reference file ({error})", hint="bakeoff run") from error
    if not parts["out"] or parts["out"].keys() != parts["norm"].keys():
        raise ModelFileError(f"{path}: not a reference file (no outputs, or none of their norms)")
    return Reference(parts["in"], parts["out"], parts["norm"])


def check(
    reference: Reference, infer: Callable[[dict[str, Array]], Mapping[str, Array]], batch: int
) -> Verification:
    """All samples of a reference through a model, `batch` at a time; `infer` returns name → [batch, …]."""
    found: list[Verification] = []
    digests: dict[int, bytes] = {}
    for inputs, samples in reference.batches(batch):
        outputs = infer(inputs)
        one = compare(reference, outputs, samples)
        if one.note:
            return one  # outputs that cannot be compared may have no sample to take
        found.append(one)
        for place, sample in enumerate(samples):
            digests[int(sample)] = _digest(outputs[name][place] for name in reference.outputs)
    return replace(worst(found), repeated=_repeated(reference, digests))


def compare(reference: Reference, outputs: Mapping[str, Array], samples: Indices) -> Verification:
    """One batch of outputs, name → [batch, …], against the reference samples that made it."""
    found = [
        _compare_one(name, outputs.get(name), expected[samples], reference.norms[name][samples])
        for name, expected in reference.outputs.items()
    ]
    return worst(found)


def worst(found: Iterable[Verification]) -> Verification:
    """The worst of several comparisons, figure by figure; the first note is kept."""
    everything = list(found)
    if not everything:
        return _incomparable("no output was compared")
    return Verification(
        error=max(one.error for one in everything),
        max_abs=max(one.max_abs for one in everything),
        cosine=min(one.cosine for one in everything),
        note=next((one.note for one in everything if one.note), ""),
    )


def judge(verification: Verification, band: Band) -> str:
    """'' inside the band, else a sentence with the numbers."""
    error = verification.error
    if verification.note:
        return verification.note
    if verification.repeated:
        return (
            f"the outputs of {verification.repeated} verification inputs are the same to the bit, those of "
            f"the fp64 reference are not (error {error:.2g})"
        )
    if not error <= band.high:
        return (
            f"error {error:.2g} against the fp64 reference is over the band's {band.high:.2g} "
            f"({error / band.high:.3g} times)"
        )
    if error < band.low:
        return (
            f"error {error:.2g} against the fp64 reference is under the band's {band.low:.2g}: "
            "a row with fp32's error did not run the reduced precision that was asked for"
        )
    return ""


def _compare_one(name: str, output: Array | None, expected: Floats, norm: Floats) -> Verification:
    if output is None:
        return _incomparable(f"output {name!r} is missing")
    if output.shape != expected.shape:
        return _incomparable(f"output {name!r} has shape {output.shape}, not {expected.shape}")
    if not np.issubdtype(output.dtype, np.floating):
        return _incomparable(f"output {name!r} has dtype {output.dtype}, not a floating-point one")
    if not np.isfinite(output).all():
        bad = int(np.count_nonzero(~np.isfinite(output)))
        return _incomparable(f"output {name!r} has {bad} of {output.size} values that are not finite")
    y = output.reshape(len(output), -1).astype(np.float64)
    r = expected.reshape(len(expected), -1)
    difference = y - r
    lengths = np.linalg.norm(y, axis=1) * np.linalg.norm(r, axis=1)
    cosines = (y * r).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return Verification(
        error=float((np.linalg.norm(difference, axis=1) / norm).max()),
        max_abs=float(np.abs(difference).max()),
        cosine=float(cosines.min()),
    )


def _digest(outputs: Iterable[Array]) -> bytes:
    """SHA-256 of one sample's outputs."""
    content = hashlib.sha256()
    for output in outputs:
        content.update(np.asarray(output).tobytes())
    return content.digest()


def _repeated(reference: Reference, digests: Mapping[int, bytes]) -> int:
    """How many samples share their digest with one whose reference lies apart."""
    alike: dict[bytes, list[int]] = defaultdict(list)
    for sample, digest in digests.items():
        alike[digest].append(sample)
    return sum(any(_apart(reference, i, j) for j in found) for found in alike.values() for i in found)


def _apart(reference: Reference, i: int, j: int) -> bool:
    return any(
        float(np.linalg.norm(r[i] - r[j])) > DISTINCT * float(max(reference.norms[name][[i, j]]))
        for name, r in reference.outputs.items()
    )


def _incomparable(note: str) -> Verification:
    return Verification(math.inf, math.inf, -1.0, note)
