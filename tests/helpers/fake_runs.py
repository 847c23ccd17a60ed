"""Synthetic runs in store files, for comparisons across runs: what differs between them is said here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.interfaces.case import HARNESS
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from tests.helpers.fake_results import MACHINE, VERSIONS, Ask, make

ANCHOR_S = 0.0121


def write_run(
    path: Path,
    run_id: str,
    asks: Sequence[Ask],
    *,
    seed: int,
    machine_speed: float = 1.0,
    versions: Mapping[str, str] | None = None,
    anchor: bool = True,
    replicates: int = 3,
    drift: float = 0.004,
    **facts: Any,
) -> str:
    """A finished run of resnet50 in a store, made where it is missing; gives `STORE::RUN`.

    Args:
        asks: the cases; the first is the baseline.
        machine_speed: what all latencies, the anchor's too, are multiplied by.
        versions: of runtimes, over those of `fake_results`.
        drift: standard deviation of a replicate's logarithm.
    """
    known = {**VERSIONS, **(versions or {})}
    slowed = [_slowed(ask, machine_speed, drift) for ask in asks]
    made = make("resnet50", slowed, seed=seed, replicates=replicates)
    if anchor:
        own = _slowed(Ask("anchor", ANCHOR_S, threads=1), machine_speed, drift)
        made += make(HARNESS, [own], unit="call", seed=seed + 5000, role="anchor", replicates=replicates)
    for one in made:
        for block in one.blocks:
            name = "numpy" if one.record.case.workload == HARNESS else one.record.case.backend
            block.versions = {name: known.get(name, "1.0")}
    day = run_id[:8]
    record: dict[str, Any] = {
        "name": "quick",
        "state": "finished",
        "started": f"{day[:4]}-{day[4:6]}-{day[6:]}T11:19:03+00:00",
        "machine": MACHINE,
        "versions": known,
        "command": ["run", "quick", "--workload", "resnet50"],
    }
    with Store.open(path, create=True) as store:
        store.create_run(RunRecord(**{"id": run_id, **record, **facts}))
        store.add_cases(run_id, [one.record for one in made])
        store.add_blocks(run_id, [block for one in made for block in one.blocks])
    return f"{path}::{run_id}"


def _slowed(ask: Ask, by: float, drift: float) -> Ask:
    return replace(ask, seconds=ask.seconds and ask.seconds * by, drift=drift)
