"""Samples in long form, and which of them are steady. pandas only when a frame is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import compare
from bench.block import Block
from bench.results import Results

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS: Mapping[str, str] = {
    "case_id": "hash of the facts that make the case",
    "generation": "number of the fresh processes that lived together",
    "part": "number of the part: blocks of one part took turns",
    "round": "round within the block",
    "order": "place within the round's random order",
    "sample": "number of the sample within the block",
    "host_ns": "one inference, host arrays in to host arrays out, in ns",
    "device_ns": "the same inference from staged inputs to complete outputs, in ns; empty if not measured",
    "steady": "whether the steady figures hold it: not the cold first sample of a burst",
    "disturbed": "whether its burst was marked as disturbed",
}


def samples_frame(results: Results) -> pd.DataFrame:
    """Every stored sample in long form; the columns are `SAMPLE_COLUMNS`. Dropped is none."""
    import pandas as pd

    case_ids = [row.case.id for row in results.rows]
    blocks = [block for case_id in case_ids for block in results.blocks.get(case_id, ())]
    parts = [pd.DataFrame(_samples(block)) for block in blocks if block.host_ns.size]
    if not parts:
        empty = Block("", 0, 0, "ok")
        return pd.DataFrame(_samples(empty))
    return pd.concat(parts, ignore_index=True)


def steady_mask(block: Block) -> NDArray[np.bool_]:
    """Which samples of a block the steady figures hold; bool, one per host sample."""
    mask = np.zeros(block.host_ns.size, dtype=np.bool_)
    mask[compare.steady(block, np.arange(mask.size))] = True
    return mask


def steady_seconds(blocks: Iterable[Block]) -> NDArray[np.float64]:
    """The steady host samples of all blocks in s, float64, in the order in which they were taken."""
    parts = [compare.steady(block, block.host_ns) for block in blocks]
    return np.concatenate(parts).astype(np.float64) * 1e-9 if parts else np.empty(0)


def _samples(block: Block) -> dict[str, Any]:
    n = block.host_ns.size
    columns: dict[str, Any] = {
        "case_id": np.full(n, block.case_id, dtype=object),
        "generation": np.full(n, block.generation),
        "part": np.full(n, block.part),
    }
    rounds, orders = np.full(n, -1), np.full(n, -1)
    disturbed = np.zeros(n, dtype=np.bool_)
    for burst in block.bursts:
        own = slice(burst.start, burst.start + burst.count)
        rounds[own], orders[own], disturbed[own] = burst.round, burst.order, burst.disturbed
    columns |= {"round": rounds, "order": orders, "sample": np.arange(n), "host_ns": block.host_ns}
    columns["device_ns"] = _nullable(block.device_ns, n)
    return {**columns, "steady": steady_mask(block), "disturbed": disturbed}


def _nullable(values: NDArray[np.int64], n: int) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values if values.size == n else [pd.NA] * n, dtype="Int64")
