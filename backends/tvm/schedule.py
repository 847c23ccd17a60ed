"""Our CPU schedule for TVM: deterministic, by rules for dlight's ApplyDefaultSchedule, no search.

| a function has | what becomes of it |
| --- | --- |
| a product (convolution, matrix product, pooling) | tiles of its output, summed in registers |
| reductions along the last axis (softmax, norms) | dlight's own rule for CPUs: row by row |
| neither | its last axis in vectors |

All threads share the tiles or rows. What is fused behind a product is computed on the tile.
Where TVM refuses one, the next is tried; what none takes stays as it is, in plain loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

# (schedule, outer loops, how many of them the weights depend on, rows, columns, lanes, registers) → the loops
# over the tiles, a tile's loop over its rows and that over its columns, floats of a vector
Cut = Callable[[Any, Sequence[Any], int, Any, Any, int, int], tuple[list[Any], Any, Any, int]]

ALONE = 1 << 13  # elements under which waking other threads takes longer than they save


def tile(rows: int, columns: int, lanes: int, registers: int) -> tuple[int, int]:
    """Rows and columns of the tile of an output that does the most arithmetic a load.

    Args:
        rows, columns: extents of the two last axes; the tile divides both.
        lanes: floats of a vector register.
        registers: vector registers of a core; three are left for what is loaded.
    """
    best, choice = 0.0, (1, 1)
    widths = _divisors(columns, (registers - 3) * lanes)
    for width in [n for n in widths if n % lanes == 0] or widths:
        vectors = -(-width // lanes)
        for height in _divisors(rows, (registers - 3) // vectors):
            gain = width / lanes * height / (height + vectors)
            if gain > best:
                best, choice = gain, (height, width)
    return choice


def vector(extent: int, lanes: int) -> int:
    """Floats of a vector that divides the extent: a register's, a half or a quarter of it. Where none does, a
    register's all the same.

    MobileNetV2's convolutions to 24 channels took 16 and 26 times as long with a vector of 24 floats as with
    three of 8.
    """
    return next((width for width in (lanes, lanes // 2, lanes // 4) if extent % width == 0), lanes)


def _divisors(extent: int, most: int) -> list[int]:
    return [n for n in range(1, min(extent, most) + 1) if extent % n == 0]


def rules(lanes: int, registers: int) -> list[Any]:
    """For a CPU whose cores hold so many vector registers of so many floats."""
    from tvm.s_tir import Schedule, dlight

    class Rule(dlight.ScheduleRule):  # type: ignore[misc]
        def __init__(self, way: Any) -> None:
            self.way = way

        def apply(self, func: Any, target: Any, tunable: bool) -> Any:
            schedule = Schedule(func)
            try:
                found = dlight.normalize_prim_func(schedule)
                return schedule if found and self.way(schedule, found, lanes, registers) else None
            except Exception:  # of many kinds: a step does not fit the function
                return None

    return [Rule(_tiled), dlight.cpu.Reduction(), Rule(_flat)]


def _extents(schedule: Any, loops: Sequence[Any]) -> list[int]:
    return [int(schedule.get(loop).extent) for loop in loops]


def _inline(schedule: Any, found: Any, most: int = 1) -> list[Any]:
    """Element-wise steps go into the next, or into as many as `most`; what is left, in order."""
    left = []
    for info in found:
        consumers = schedule.get_consumers(info.block_rv)
        if info.is_injective() and 0 < len(consumers) <= most and not _pads(schedule, info):
            schedule.compute_inline(info.block_rv)
        else:
            left.append(info)
    return left


def _pads(schedule: Any, info: Any) -> bool:
    from tvm import get_global_func

    return bool(get_global_func("s_tir.schedule.HasIfThenElse")(schedule.get(info.block_rv)))


def ruled(
    schedule: Any, outer: Sequence[Any], shared: int, rows: Any, columns: Any, lanes: int, registers: int
) -> tuple[list[Any], Any, Any, int]:
    """A cut into the tile of `tile`. A column of tiles goes by while its weights stay in the cache."""
    long, wide = _extents(schedule, (rows, columns))
    lanes = vector(wide, lanes)
    height, width = tile(long, wide, lanes, registers)
    row_tiles, row = schedule.split(rows, [None, height])
    column_tiles, column = schedule.split(columns, [None, width])
    return [*outer[:shared], column_tiles, *outer[shared:], row_tiles], row, column, lanes


def _tiled(schedule: Any, found: Any, lanes: int, registers: int) -> bool:
    return tiled(schedule, found, lanes, registers, ruled)


def tiled(schedule: Any, found: Any, lanes: int, registers: int, cut: Cut) -> bool:
    """Functions with one product; steps before it (padding) go their own way."""
    product = _only_product(schedule, found)
    if product is not None and product is found[-1]:
        from tvm.s_tir import dlight

        schedule.cache_write(product.block_rv, 0, "global")
        found = dlight.normalize_prim_func(schedule)
        product = _only_product(schedule, found)
    if product is None:
        return False
    place = [info.name for info in found].index(product.name)
    for info in _inline(schedule, found[:place]):
        _spread(schedule, info.block_rv, lanes)
    ends = _inline(schedule, found[place + 1 :], most=2)
    spatial = product.dom_kind().count("S")
    end, loops = ends[0].block_rv, schedule.get_loops(ends[0].block_rv)
    extents = _extents(schedule, loops)
    if len(ends) > 1 or extents != _extents(schedule, schedule.get_loops(product.block_rv)[:spatial]):
        return False
    if len(loops) == 1:
        loops = [schedule.add_unit_loop(loops[0]), *loops]
    *outer, rows, columns = loops
    shared = _column_outer(schedule, product, outer)
    tiles, row, column, lanes = cut(schedule, outer, shared, rows, columns, lanes, registers)
    schedule.reorder(*tiles, row, column)
    grid = schedule.fuse(*tiles)
    schedule.compute_at(product.block_rv, grid, preserve_unit_loops=True)
    inner = schedule.get_loops(product.block_rv)[1:]
    sums, within = inner[spatial:], inner[:spatial]
    if spatial == 1:
        within = [schedule.add_unit_loop(within[0]), *within]
    schedule.reorder(*sums, *within)
    schedule.parallel(grid)
    _in_registers(schedule, end, lanes)
    _in_registers(schedule, product.block_rv, lanes)
    schedule.decompose_reduction(product.block_rv, sums[0])
    return True


def _in_registers(schedule: Any, block: Any, lanes: int) -> None:
    """A tile's two loops written out, vector by vector: LLVM then keeps the sums in registers."""
    *_, row, column = schedule.get_loops(block)
    schedule.unroll(row)
    if _extents(schedule, [column])[0] % lanes == 0:
        vectors, column = schedule.split(column, [None, lanes])
        schedule.unroll(vectors)
    schedule.vectorize(column)


def _only_product(schedule: Any, found: Any) -> Any:
    """The one reduction of a function, where an operand lies along the output's last axis; else None."""
    reductions = [info for info in found if not info.is_injective()]
    return reductions[0] if len(reductions) == 1 and _columns(schedule, reductions[0]) else None


def _columns(schedule: Any, product: Any) -> list[Any]:
    """The operands whose last index is the last spatial axis."""
    block = schedule.get(product.block_rv)
    last = [info.var for info in product.iters if info.kind == "S"][-1]
    along = [r for r in (*block.reads, *block.writes) if r.region[-1].min.same_as(last)]
    return along if len(along) > len(block.writes) else []


def _column_outer(schedule: Any, product: Any, outer: Sequence[Any]) -> int:
    """How many outer loops the operand with the columns depends on: weights on none, so that a tile of theirs
    stays in the cache while rows go by."""
    from tvm.s_tir.dlight.analysis import collect_vars_used_in_prim_expr

    operand = _columns(schedule, product)[0]
    used = {var for part in operand.region for var in collect_vars_used_in_prim_expr(part.min)}
    places = [i for i, info in enumerate(product.iters[: len(outer)]) if info.var in used]
    return max(places, default=-1) + 1


def _spread(schedule: Any, block: Any, lanes: int) -> None:
    """The last axis in vectors where it divides, the rest over the threads where there is enough of it."""
    loops = schedule.get_loops(block)
    if not loops:
        return
    *outer, last = loops
    extents = _extents(schedule, loops)
    if extents[-1] % lanes == 0:
        between, vector = schedule.split(last, [None, lanes])
        schedule.vectorize(vector)
        outer.append(between)
    elif extents[-1] <= 2 * lanes and outer:
        pass
    else:
        outer.append(last)
    if outer and prod(extents) >= ALONE:
        schedule.parallel(schedule.fuse(*outer))


def _flat(schedule: Any, found: Any, lanes: int, registers: int) -> bool:
    """Each step by itself."""
    for info in _inline(schedule, found):
        if info.is_injective():
            _spread(schedule, info.block_rv, lanes)
        else:
            spatial = [i.loop_rv for i in info.iters if i.kind == "S"]
            if spatial:
                schedule.parallel(schedule.fuse(*schedule.get_loops(info.block_rv)[: len(spatial)]))
    return True
