"""What a run took, on which machine, and with which harness: the words below the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.compare.environment_diff import INSTRUCTIONS, LABELS, WHOLE
from bench.compare.results import Results, Row
from bench.compare.words import Found
from bench.interfaces.block import Block
from bench.machine.label import ALSO, LABEL, LABEL_FROM, cache_name, gpu_names
from bench.text.estimates import interval
from bench.text.numbers import count, duration, memory_size, percent, significant, span, time_unit
from reports.html.scrub import PRIVATE

UNEVEN = 0.1  # replicates whose shares of disturbed bursts differ by more are named

_LABELS = {**LABELS, "flags": INSTRUCTIONS}
_LABEL_FROM = {"given": " (given by a person)", "described": " (made of the facts below)"}


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run took, in words."""

    taken: str
    disturbed: str
    capped: str


def counts(results: Results) -> Counts:
    """Processes, rounds, disturbed bursts and capped warm-ups of the cases that were measured."""
    rows = [row for row in results.rows if row.latency.value is not None]
    blocks = [b for row in rows for b in results.blocks.get(row.case.id, ()) if b.bursts]
    bursts = [burst for block in blocks for burst in block.bursts]
    if not bursts:
        return Counts("nothing was measured", "No burst was measured.", "No case was warmed up.")
    disturbed, capped = sum(b.disturbed for b in bursts), sum(row.warmup_capped for row in rows)
    return Counts(
        f"{count(len(blocks), 'fresh process', 'fresh processes')}, "
        f"{span(row.replicates for row in rows)} per case, "
        f"{span(len(block.bursts) for block in blocks)} rounds in each",
        f"Others took time from {disturbed:,} of {count(len(bursts), 'burst')} "
        f"({percent(disturbed / len(bursts))}{_when(blocks)}): stolen time, waiting for a core, throttling. "
        "A round in which any worker was hit is marked for all. The figures use every round; a second ratio "
        "leaves the marked ones out.",
        f"{capped} of {count(len(rows), 'case')} reached the limit, and may hold some settling."
        if capped
        else "No case reached the limit.",
    )


def _when(blocks: Sequence[Block]) -> str:
    """`; from 0 % in replicate 1 to 40 % in replicate 3`, where replicates differ."""
    marks: dict[int, list[bool]] = defaultdict(list)
    for block in blocks:
        marks[block.replicate] += [burst.disturbed for burst in block.bursts]
    shares = {replicate: sum(found) / len(found) for replicate, found in marks.items()}
    least, most = min(shares, key=lambda g: shares[g]), max(shares, key=lambda g: shares[g])
    if shares[most] - shares[least] < UNEVEN:
        return ""
    low, high = percent(shares[least]), percent(shares[most])
    return f"; from {low} in replicate {least + 1} to {high} in replicate {most + 1}"


def linted(found: Sequence[Found]) -> str:
    """What the linter says of the run, in a sentence."""
    number = sum(len(one.texts) for one in found)
    said = f"{count(number, 'finding')}, named at the top" if number else "none of them was broken"
    return f"Rows are held against rules of what can be, and of what does harm: {said}."


def harness(results: Results) -> list[tuple[str, str, str]]:
    """Name, figure and meaning of the harness's own rows."""
    found = []
    if results.overhead is not None:
        fastest = min((r.latency.value for r in results.rows if r.latency.value), default=None)
        own = results.overhead.latency.value
        share = f", {percent(own / fastest)} of the fastest row" if own and fastest else ""
        text = f"a backend that does nothing: what bakeoff itself adds to each inference{share}"
        found.append(("Null backend", _own(results.overhead), text))
    if results.anchor is not None:
        text = "a fixed NumPy matrix product and stream copy: by it, runs of different days are compared"
        found.append(("Anchor", _own(results.anchor), text))
    return found


def _own(row: Row) -> str:
    return interval(row.latency, time_unit([row.latency.value]))


def machine_line(machine: Mapping[str, Any]) -> str:
    """`AMD EPYC 7B13 · 2 cores · 25.3 GB · Linux 6.1 · virtual machine`."""
    cores, memory = machine.get("cores"), machine.get("memory_bytes")
    parts = [
        str(machine.get("cpu") or ""),
        count(int(cores), "core") if cores else "",
        memory_size(memory) if memory else "",
        gpu_names(machine),
        " ".join(str(machine[key]) for key in ("system", "kernel") if machine.get(key)),
        "virtual machine" if machine.get("virtualised") else "",
    ]
    return " · ".join(part for part in parts if part) or "machine unknown"


def machine_table(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and value of each fact that is known; names of hosts and users are left out."""
    others = machine.get(ALSO)
    also = [("also measured on", machine_line(one)) for one in others] if isinstance(others, list) else []
    shown = [
        (key, _fact(key, value))
        for key, value in machine.items()
        if key.lower() not in (*PRIVATE, ALSO, LABEL_FROM)
    ]
    how = _LABEL_FROM.get(str(machine.get(LABEL_FROM)), "")
    shown = [(key, text + how if key == LABEL else text) for key, text in shown]
    return also + [
        (_LABELS.get(key, key.removesuffix("_bytes").replace("_", " ")), text) for key, text in shown if text
    ]


def _fact(key: str, value: Any) -> str:
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("bytes") and isinstance(value, int | float):
        return memory_size(value)
    if key == "caches" and isinstance(value, list):
        return ", ".join(_cache(cache) for cache in value)
    if key == "gpus" and isinstance(value, list):
        return "; ".join(_gpu(gpu) for gpu in value)
    if isinstance(value, Mapping):
        pairs = [
            (str(k) if key in WHOLE else str(k).replace("_", " ").removesuffix(" bytes"), _fact(str(k), v))
            for k, v in value.items()
        ]
        return ", ".join(f"{k} {text}" for k, text in pairs if text)
    if isinstance(value, list | tuple):
        return ", ".join(_fact("", item) for item in value)
    return str(value)


def _gpu(gpu: Any) -> str:
    """`NVIDIA H200, compute capability 9.0, 140 GiB, 700 W, measured at most: copy 4.30 TB/s`."""
    if not isinstance(gpu, Mapping):
        return str(gpu)
    known = {key: value for key, value in gpu.items() if isinstance(value, int | float)}
    ceilings = gpu.get("ceilings")
    rates = ceilings.items() if isinstance(ceilings, Mapping) else ()
    measured = ", ".join(_ceiling(str(k), v) for k, v in rates if isinstance(v, int | float))
    parts = [
        str(gpu.get("name") or "a GPU"),
        f"compute capability {gpu['compute_capability']}" if gpu.get("compute_capability") else "",
        memory_size(known["memory_bytes"]) if "memory_bytes" in known else "",
        f"{known['power_limit_w']:g} W" if "power_limit_w" in known else "",
        f"up to {known['sm_mhz']:g} MHz" if "sm_mhz" in known else "",
        f"{known['instances']} instances" if "instances" in known else "",
        f"measured at most: {measured}" if measured else "",
    ]
    return ", ".join(part for part in parts if part)


def _ceiling(key: str, rate: float) -> str:
    """`bf16 790 TFLOP/s`, `copy 4.3 TB/s`."""
    name, _, what = key.removesuffix("_per_s").partition("_")
    return f"{name} {significant(rate / 1e12)} T{'B' if what == 'bytes' else 'FLOP'}/s"


def _cache(cache: Any) -> str:
    if not isinstance(cache, Mapping) or "level" not in cache:
        return str(cache)
    return f"{cache_name(cache)} {memory_size(cache.get('bytes', 0))}"


def phases(seconds: Mapping[str, float]) -> str:
    """`prepare 61.0 s, measure 2 min 44 s`."""
    return ", ".join(f"{phase} {duration(value)}" for phase, value in seconds.items())
