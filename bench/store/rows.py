"""Runs, cases, blocks, rounds and estimates, and the rows that they are in a store.

What a store of before does not say is at its default; what this bakeoff has no place for is refused
(`bench.store.legible`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.interfaces.backend import Target
from bench.interfaces.block import Block, Burst
from bench.interfaces.case import Case
from bench.interfaces.estimate import Estimate
from bench.interfaces.plain import as_dict
from bench.store.legible import known
from bench.store.records import CaseRecord, EstimateRecord, RoundRecord, RunRecord
from bench.text import strict_json

_SAMPLES = np.dtype("<i8")
_SAMPLED = ("host_ns", "device_ns", "own_ns")
BLOCK_COLUMNS = ("case_id", "replicate", "part", "status", "bursts", *_SAMPLED)
_RUN_COLUMNS = ("id", "name", "state", "started", "finished")


def run_row(record: RunRecord) -> tuple[Any, ...]:
    facts = {key: value for key, value in asdict(record).items() if key not in _RUN_COLUMNS}
    return (*(getattr(record, name) for name in _RUN_COLUMNS), strict_json.dumps(facts))


def read_run(row: Sequence[Any]) -> RunRecord:
    *columns, facts = row
    told = known(RunRecord, strict_json.loads(facts))
    record = RunRecord(**{**told, **dict(zip(_RUN_COLUMNS, columns, strict=True))})
    for name in ("suite", "machine", "versions", "command", "seconds", "notes"):
        wanted = list if name in ("command", "notes") else dict
        if not isinstance(value := getattr(record, name), wanted):
            raise TypeError(f"{name} is {type(value).__name__}, not {wanted.__name__}")
    return record


def case_row(run_id: str, position: int, record: CaseRecord) -> tuple[Any, ...]:
    facts = {**as_dict(asdict(record)), "case": as_dict(record.case)}
    return (run_id, record.case.id, position, strict_json.dumps(facts))


def read_case(facts: Mapping[str, Any]) -> CaseRecord:
    case = known(Case, facts["case"])
    known(Target, case["target"])
    return CaseRecord(**{**known(CaseRecord, facts), "case": Case.from_dict(case)})


def block_row(run_id: str, block: Block) -> tuple[Any, ...]:
    facts = {name: getattr(block, name) for name in Block.__dataclass_fields__ if name not in BLOCK_COLUMNS}
    bursts = strict_json.dumps(block.bursts)
    samples = (np.asarray(s, dtype=_SAMPLES).tobytes() for s in (getattr(block, name) for name in _SAMPLED))
    head = (run_id, block.case_id, block.replicate, block.part, block.status)
    return (*head, strict_json.dumps(facts), bursts, *samples)


def read_block(row: Sequence[Any]) -> Block:
    *columns, facts = row
    values = dict(zip(BLOCK_COLUMNS, columns, strict=True))
    values["bursts"] = [Burst(**burst) for burst in strict_json.loads(values["bursts"])]
    for name in _SAMPLED:
        values[name] = np.frombuffer(values[name], dtype=_SAMPLES).astype(np.int64)
    return Block(**{**known(Block, strict_json.loads(facts)), **values})


def round_row(run_id: str, record: RoundRecord) -> tuple[Any, ...]:
    facts = {key: value for key, value in asdict(record).items() if key not in ("part", "round")}
    return (run_id, record.part, record.round, strict_json.dumps(facts))


def read_round(row: Sequence[Any]) -> RoundRecord:
    part, number, facts = row
    return RoundRecord(part, number, **known(RoundRecord, strict_json.loads(facts)))


def estimate_row(run_id: str, record: EstimateRecord) -> tuple[Any, ...]:
    facts = {"by": record.by, "word": record.word, "ratio": asdict(record.ratio)}
    return (run_id, record.case_id, record.against, record.kind, strict_json.dumps(facts))


def read_estimate(row: Sequence[Any]) -> EstimateRecord:
    *key, facts = row
    told = known(EstimateRecord, strict_json.loads(facts))
    return EstimateRecord(*key, **{**told, "ratio": Estimate(**known(Estimate, told["ratio"]))})
