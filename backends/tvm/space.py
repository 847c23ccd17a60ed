"""Where MetaSchedule looks for a product's kernel: our schedule's tiles, with their sizes left open.

What is sampled: vectors of a tile's width, its rows, and how many of the tiles below each other go by under
one column of weights. MetaSchedule's own space for CPUs, which holds far more, is taken where ours does not
fit: of three of ResNet-50's convolutions it took twice the time for as many trials, and each of the kernels
that it found was slower than ours, by a factor of 2.2 to 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.tvm import schedule as tvm_schedule

WIDEST = 8  # vectors of a tile
FREE = 1 << 16  # more than any extent: the factor may be all of it


def space(lanes: int, registers: int) -> Any:
    """A generator of our schedules; of none where a function is not one product."""
    from tvm.s_tir import dlight, meta_schedule

    def schedules(schedule: Any) -> list[Any]:
        found = dlight.normalize_prim_func(schedule)
        fits = found and tvm_schedule.tiled(schedule, found, lanes, registers, sampled)
        return [schedule] if fits else []

    mutations = {meta_schedule.mutator.MutateTileSize(): 1.0}
    return meta_schedule.space_generator.ScheduleFn(schedules, [], [], mutations)


def sampled(
    schedule: Any, outer: Sequence[Any], shared: int, rows: Any, columns: Any, lanes: int, registers: int
) -> tuple[list[Any], Any, Any, int]:
    """A cut whose sizes are MetaSchedule's to choose. Its first two decisions are [tiles, vectors of a tile]
    and [tiles, rows of a tile]."""
    extent = int(schedule.get(columns).extent)
    lanes = tvm_schedule.vector(extent, lanes)
    if extent % lanes:
        lanes = max(n for n in range(1, lanes + 1) if extent % n == 0)
    vectors, lane = schedule.split(columns, [None, lanes])
    column_tiles, vector = schedule.split(vectors, schedule.sample_perfect_tile(vectors, 2, WIDEST))
    column = schedule.fuse(vector, lane)
    row_tiles, row = schedule.split(rows, schedule.sample_perfect_tile(rows, 2, registers))
    loops = [*outer[shared:], row_tiles]
    long = [i for i, loop in enumerate(loops[:-1]) if int(schedule.get(loop).extent) > 1]
    at = long[-1] if long else len(loops) - 1
    far, near = schedule.split(loops[at], schedule.sample_perfect_tile(loops[at], 2, FREE))
    tiles = [*outer[:shared], *loops[:at], far, column_tiles, near, *loops[at + 1 :]]
    return tiles, row, column, lanes


def guide(registers: int) -> Any:
    """A cost model that knows one thing: a tile does the more arithmetic a load the larger it is, until its
    sums no longer fit the registers. Among those that fit, chance has a say."""
    import numpy as np
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.cost_model import PyCostModel

    chance = np.random.default_rng(0)

    def score(candidate: Any) -> float:
        (_, width), (_, height), *_ = (
            [int(n) for n in decision] for decision in candidate.sch.trace.decisions.values()
        )
        fits = width * height <= registers - 3
        return fits * width * height / (width + height) * chance.uniform(0.5, 1)

    class Guide(PyCostModel):  # type: ignore[misc]
        def predict(self, context: Any, candidates: Any) -> Any:
            return np.array([score(candidate) for candidate in candidates])

    return derived_object(Guide)()
