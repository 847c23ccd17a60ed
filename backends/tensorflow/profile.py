"""What TensorFlow ran: the kernels and the instructions of XLA in its profiler's trace, and their types.

Imports TensorFlow, and late.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from backends.support import hlo, profiles
from backends.support.profiles import PRECISIONS, Operation

KERNEL = re.compile(r"(\S+):(\w+)")  # how the trace names one: its node and its operation
PRODUCT = re.compile(r"Conv2D|DepthwiseConv|MatMul|Einsum")
Run = Callable[[], Any]
K = TypeVar("K", bound=Hashable)


def kernels(run: Run) -> list[Operation]:
    """Of a function that has not run yet: its kernels, by the graph that TensorFlow partitioned to run."""
    from tensorflow.python.eager import context

    # The graph that runs is told when a function first runs, and to whom asks for it (as tf.summary does).
    context.enable_run_metadata()
    try:
        run()
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    nodes = (node for graph in graphs for part in graph.partition_graphs for node in part.node)
    types = {node.name: _type(node) for node in nodes}
    return [
        Operation(kind, types[name], ns, bool(PRODUCT.search(kind)))
        for (name, kind), ns in profiles.least(_runs(run, _kernel)).items()
        if name in types
    ]


def instructions(run: Run, text: str) -> list[Operation]:
    """Of a function that XLA compiled to a module with that text (HLO)."""
    return hlo.operations(text, _runs(run, _instruction))


def _type(node: Any) -> str:
    """The arithmetic of a node, by its types' attribute."""
    from tensorflow import as_dtype

    number = node.attr["T"].type if "T" in node.attr else 0
    return PRECISIONS.get(as_dtype(number).name, "") if number else ""


def _kernel(name: str, _stats: Mapping[str, str]) -> tuple[str, str] | None:
    found = KERNEL.fullmatch(name)
    return (found[1], found[2]) if found else None


def _instruction(_name: str, stats: Mapping[str, str]) -> str | None:
    return stats.get("hlo_op")


def _runs(run: Run, key: Callable[[str, Mapping[str, str]], K | None]) -> Iterator[dict[K, float]]:
    """Of each of several runs: what `key` makes of an event → its time in ns."""
    for _ in range(profiles.PROFILED):
        spent: dict[K, float] = {}
        for name, stats, ns in _events(run):
            if (one := key(name, stats)) is not None:
                spent[one] = spent.get(one, 0.0) + ns
        yield spent


def _events(run: Run) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, statistics in words and duration in ns of what the profiler saw of a run on the host."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    with tempfile.TemporaryDirectory(prefix="bakeoff-tensorflow-") as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    for plane in space.planes:
        names = {number: one.name for number, one in plane.stat_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            stats = {names[s.metadata_id]: s.str_value or names.get(s.ref_value, "") for s in event.stats}
            yield plane.event_metadata[event.metadata_id].name, stats, event.duration_ps / 1000
