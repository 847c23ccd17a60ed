"""Seats for the benchmarks: prepared cases as `bakeoff run` would measure them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from bench.api import plan_suite, silent
from bench.interfaces.block import Block
from bench.interfaces.case import Case
from bench.measure.turns import Limits, Seat, measure_part
from bench.measure.worker_spec import Setting, seat
from bench.prepare.prepare import prepare
from bench.suite.flags import suite_from_flags
from bench.suite.suite import load_suite

Enough = Callable[[list[Block], list[Block]], bool]


class Failed(SystemExit):
    """A case that cannot be measured, with the reason: ends a benchmark that needs it."""


def seats(
    workload: str, backends: str, threads: str = "auto", device: str = "cpu"
) -> tuple[list[Case], list[Seat]]:
    """Cases of a quick suite in fp32 with their seats, model files prepared. Raises Failed."""
    flags = {"workloads": workload, "backends": backends, "precisions": "fp32", "threads": threads}
    flags |= {"devices": device}
    suite = suite_from_flags(load_suite("quick"), flags)
    plan, budget, _ = plan_suite(suite)
    for case, status, reason in plan.refused:
        raise Failed(f"{status}: {case.label}: {reason}")
    cases = [case for case in plan.cases if case.role == "runtime"]
    prepared = prepare(cases, silent)
    for one in prepared.values():
        if one.error:
            raise Failed(f"{one.status}: {one.error.splitlines()[0]}")
    setting = Setting("benchmark", plan.profile, Limits(), budget, None)
    return cases, [seat(case, prepared[case.id], setting) for case in cases]


def twins(workload: str, backend: str, count: int, threads: str = "1") -> list[Seat]:
    """Seats of `count` cases that are alike: whatever difference is measured between them is an error."""
    _, (one,) = seats(workload, backend, threads)
    cases = [replace(one.case, twin=str(number) if number else "") for number in range(count)]
    return [replace(one, job=replace(one.job, case=case)) for case in cases]


def in_turns(
    pair: tuple[Seat, Seat], replicates: int, rounds: int, enough: Enough = lambda one, other: False
) -> tuple[list[Block], list[Block]]:
    """The blocks of two seats that took turns, until there are enough. Raises Failed."""
    order = random.Random(0)
    kept: tuple[list[Block], list[Block]] = ([], [])
    for replicate in range(replicates):
        found = measure_part(
            pair,
            replicate=replicate,
            part=replicate,
            rounds=rounds,
            limits=Limits(),
            order=order,
            listener=silent,
        ).blocks
        for blocks, block in zip(kept, found, strict=True):
            if block.status != "ok":
                raise Failed(f"{block.status}: {block.reason}\n{block.log}")
            blocks.append(block)
        if enough(*kept):
            break
    return kept


def bare(one: Seat) -> Seat:
    """The same file, threads and CPUs, measured by a bare loop over the runtime's own API."""
    case = replace(one.case, scenario="bare loop")
    return replace(one, job=replace(one.job, case=case), module="backends.support.bare_worker")
