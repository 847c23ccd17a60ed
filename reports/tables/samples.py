"""Samples in long form, and which of them are steady. pandas only when a frame is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.compare.results import Results
from bench.compare.samples import steady_samples
from bench.interfaces.block import Block, Burst

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS: Mapping[str, str] = {
    "case_id": "hash of the facts that make the case",
    "replicate": "number of the fresh processes that lived together",
    "part": "number of the part: blocks of one part took turns",
    "round": "round within the block",
    "order": "place within the round's random order",
    "boundary": "host: host arrays in to host arrays out; device: staged inputs to complete outputs",
    "sample": "number of the sample within the block and boundary",
    "ns": "one inference, in ns",
    "steady": "whether the steady figures hold it: not the cold first sample of a burst, nor 0 ns or less",
    "disturbed": "whether its burst was marked as disturbed",
}


def samples_frame(results: Results) -> pd.DataFrame:
    """Every stored sample in long form; the columns are `SAMPLE_COLUMNS`. None is dropped."""
    import pandas as pd

    blocks = [block for row in results.rows for block in results.blocks.get(row.case.id, ())]
    parts = [part for block in blocks for part in _parts(block)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in SAMPLE_COLUMNS} if parts else {}
    return pd.DataFrame(whole, columns=list(SAMPLE_COLUMNS))


def _parts(block: Block) -> Iterator[dict[str, NDArray[Any]]]:
    """The samples of each burst, first at the host boundary, then at the device's."""
    for burst in block.bursts:
        host, device = steady_samples(block, burst)
        yield _part(block, burst, "host", block.host_ns, burst.start, host)
        yield _part(block, burst, "device", block.device_ns, burst.device_start, device)


def _part(
    block: Block, burst: Burst, boundary: str, ns: NDArray[np.int64], start: int, steady: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    numbers = np.arange(start, start + steady.size)
    alike: dict[str, object] = {
        "case_id": block.case_id,
        "replicate": block.replicate,
        "part": block.part,
        "round": burst.round,
        "order": burst.order,
        "boundary": boundary,
        "disturbed": burst.disturbed,
    }
    columns: dict[str, NDArray[Any]] = {
        name: np.full(steady.size, value, dtype=_dtype(value)) for name, value in alike.items()
    }
    return {**columns, "sample": numbers, "ns": ns[start : start + steady.size], "steady": steady}


def _dtype(value: object) -> type:
    return object if isinstance(value, str) else bool if isinstance(value, bool) else np.int64
