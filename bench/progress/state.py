"""Where a run stands, from its events. Plain data; the renderers read it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.interfaces.block import MEASURED, Block
from bench.interfaces.case import Case
from bench.stats.pairs import steady
from bench.store.records import RunRecord
from bench.text.numbers import file_size, rounded_time

LOAD_SHARE = 0.6  # of a part's time that goes into starting, loading, warming up and verifying


@dataclass(slots=True)
class CaseState:
    """A case so far: its status and the medians of its blocks in seconds."""

    case: Case
    status: str = "waiting"
    reason: str = ""
    medians: list[float] = field(default_factory=list)

    @property
    def latency(self) -> float | None:
        return float(np.exp(np.mean(np.log(self.medians)))) if self.medians else None


def artefact_text(facts: Mapping[str, Any]) -> str:
    """`resnet50 onnx made in 20.3 s, 90.3 MB (3 of 12)`: one that is settled."""
    took = f" in {facts['seconds']:.1f} s" if facts["seconds"] else ""
    size = f", {file_size(facts['bytes'])}" if "bytes" in facts else ""
    return f"{facts['artefact']} {facts['state']}{took}{size} ({facts['done']} of {facts['of']})"


def prepared_text(facts: Mapping[str, Any]) -> str:
    """`prepared in 61 s: 12 made, 3 cached; the cache holds 1.09 GB`."""
    states = ("made", "cached", "failed", "unsupported", "missing")
    counts = ", ".join(f"{facts[state]} {state}" for state in states if facts[state] or state in states[:2])
    holds = file_size(facts["cache_bytes"])
    return f"prepared in {rounded_time(facts['seconds'])}: {counts}; the cache holds {holds}"


@dataclass(slots=True)
class State:
    """Everything that a renderer may want to show."""

    run: RunRecord | None = None
    cases: dict[str, CaseState] = field(default_factory=dict)
    baselines: dict[str, str | None] = field(default_factory=dict)
    replicates: int = 0
    doing: str = "planning"
    making: dict[str, float] = field(default_factory=dict)  # artefact → seconds so far
    settled: tuple[int, int] = (0, 0)  # artefacts of all that are needed
    current: str | None = None
    replicate: int = 0
    course: str = ""  # where the repeats go
    part: int = 0
    parts: int = 0
    share: float = 0.0  # of the current part
    expected_s: float = 0.0
    budget_s: float | None = None
    measuring_since: float | None = None

    def take(self, event: str, facts: Mapping[str, Any]) -> None:
        """Follows one event."""
        match event:
            case "run":
                plan = facts["plan"]
                self.run = facts["run"]
                self.baselines = dict(plan.baselines)
                self.replicates = plan.profile.replicates
                self.budget_s = facts["run"].suite.get("budget")
                self.cases = {case.id: CaseState(case) for case in plan.cases}
                for case, status, reason in plan.refused:
                    self.cases[case.id] = CaseState(case, status, reason)
            case "prepare":
                self._take_artefact(facts)
            case "making":
                self.making = dict(facts["artefacts"])
            case "prepared":
                self.making, self.doing = {}, prepared_text(facts)
            case "wait" | "note":
                self.doing = facts["text"]
            case "outlook":
                self.course = facts["text"]
            case "replicate":
                self.course = facts["step"].why or self.course
                self.replicates = max(self.replicates, facts["step"].of)
            case "part":
                self.replicate = facts["replicate"]
                self.part, self.parts, self.share = facts["part"], facts["parts"], 0.0
                self.measuring_since = self.measuring_since or time.monotonic()
            case "case":
                self.current = facts["case"].id
                self.doing = f"{facts['phase']}: {facts['case'].label}"
                self.cases[facts["case"].id].status = facts["phase"]
                if facts["phase"] != "verify":
                    self.share = min(LOAD_SHARE, self.share + 0.05)
            case "burst":
                self.current = facts["case"].id
                self.cases[facts["case"].id].status = "measuring"
                self.doing = f"round {facts['round'] + 1} of {facts['rounds']}: {facts['case'].label}"
                self.share = LOAD_SHARE + (1 - LOAD_SHARE) * facts["round"] / facts["rounds"]
            case "block":
                self._take_block(facts["block"])
            case "done":
                self.doing, self.current = "done", None

    def _take_artefact(self, facts: Mapping[str, Any]) -> None:
        self.settled = facts["done"], facts["of"]
        self.making.pop(facts["artefact"], None)
        if facts["state"] == "making":
            self.making[facts["artefact"]] = facts["seconds"]
        else:
            self.doing = f"prepare: {artefact_text(facts)}"

    def _take_block(self, block: Block) -> None:
        found = self.cases[block.case_id]
        found.status, found.reason = block.status, block.reason
        if block.status in MEASURED and block.bursts:
            found.medians.append(float(np.median(steady(block))) * 1e-9)
        self.current = None

    def ratio(self, case: Case) -> float | None:
        """Latency so far over the baseline's; without an interval, as it is only a look."""
        base = self.baselines.get(case.group)
        if base is None or base == case.id or base not in self.cases:
            return None
        own, other = self.cases[case.id].latency, self.cases[base].latency
        return own / other if own and other else None

    @property
    def done(self) -> float:
        """Share of measuring that is over, if every replicate were to be measured whole; before it begins,
        of preparing."""
        if not self.parts or not self.replicates:
            return self.settled[0] / max(1, self.settled[1])
        return min(1.0, (self.replicate + (self.part + self.share) / self.parts) / self.replicates)

    def left_s(self) -> float | None:
        """Seconds that measuring will still take at most; None before the first part is over, and once the
        budget is over."""
        if self.measuring_since is None or not self.done or self.replicate + self.part == 0:
            return None
        elapsed = time.monotonic() - self.measuring_since
        left = elapsed / self.done * (1 - self.done)
        if self.budget_s is None:
            return left
        return min(left, self.budget_s - elapsed) if elapsed < self.budget_s else None

    def left_text(self) -> str:
        """`, at most 40 s left`, or by how much the budget is over; '' where nothing is known."""
        if (left := self.left_s()) is not None:
            return f", at most {rounded_time(left)} left"
        if self.measuring_since is None or self.budget_s is None:
            return ""
        over = time.monotonic() - self.measuring_since - self.budget_s
        return f", {rounded_time(over)} over the budget, which ends with this part" if over > 0 else ""
