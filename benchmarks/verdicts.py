"""How often `bakeoff ab` is wrong here: A/A pairs, quiet and beside a busy neighbour, and slow-downs.

    python -m benchmarks.verdicts FOLDER [--aa 40] [--busy 20] [--slow 20]

Measures what FOLDER lacks of that, in random order, and prints what came of it; stop it and start it again
as you like. Beside bakeoff's verdict stand two others on the same samples: pytest-benchmark's compare-fail,
and a ratio of means.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import Run, own_version, run
from bench.cli import streams
from bench.compare.self_test import FALSE, Share, resample
from bench.machine import fingerprint
from bench.processes.process import guard
from bench.stats.noise import Costs
from bench.stats.pairs import paired_rounds, replicate_logs, steady
from bench.stats.stopping import costs
from bench.suite.configuration import Side
from bench.suite.pair import ab_suite
from bench.suite.profiles import PROFILES
from bench.suite.suite import load_suite
from bench.text import strict_json
from bench.text.numbers import duration
from benchmarks.slowdown import calibrate, register

WORKLOAD = "mobilenet-v2"
SLOWDOWN = 0.03
RELEVANT = 2.0  # percent: bakeoff's default, and the threshold that the other two judge by
BUDGET_S = 120.0
RESAMPLED = 100
FIELDS = ("mean", "median", "min")


def main(arguments: list[str]) -> int:
    streams.settle()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    for kind, count in (("aa", 40), ("busy", 20), ("slow", 20)):
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "verdicts.jsonl"
    found = [strict_json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    wanted = [
        kind
        for kind in ("aa", "busy", "slow")
        for _ in range(getattr(options, kind) - sum(one["kind"] == kind for one in found))
    ]
    random.Random(len(found)).shuffle(wanted)
    register()
    extra = _extra(options.folder) if "slow" in wanted else 0
    for i, kind in enumerate(wanted):
        one = _measure(kind, options, extra)
        found.append(one)
        with log.open("a") as file:
            file.write(strict_json.dumps(one) + "\n")
        print(f"{i + 1:3d} of {len(wanted)}  {_line(one)}", flush=True)
    print("\n".join(_summary(found)))
    return 0


def _extra(folder: Path) -> int:
    """Units of work that slow an inference by 3 %; measured once for a folder."""
    path = folder / "extra.json"
    if not path.exists():
        with guard():
            path.write_text(strict_json.dumps(calibrate(WORKLOAD, SLOWDOWN)))
    return int(strict_json.loads(path.read_text()))


def _measure(kind: str, options: argparse.Namespace, extra: int) -> dict[str, Any]:
    a = Side("onnxruntime")
    b = Side("slowed", {}, {"extra": extra}) if kind == "slow" else a
    flags = {"workloads": [WORKLOAD], "threads": ["1"], "budget": str(BUDGET_S)}
    suite = ab_suite(load_suite("quick"), a, b, flags)
    with _neighbour(kind == "busy"):
        done = run(suite, store=options.folder / "verdicts.sqlite")
    return {"kind": kind, **_facts(done)}


@contextmanager
def _neighbour(wanted: bool) -> Iterator[None]:
    """A process that burns the last CPU; the workers' is the first."""
    if not wanted:
        yield
        return
    burner = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    burner.start()
    try:
        yield
    finally:
        burner.kill()
        burner.join()


def _burn() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    while True:
        pass


def _facts(done: Run) -> dict[str, Any]:
    found = done.results()
    base, other = sorted(found.groups[0].rows, key=lambda row: not row.baseline)
    assert other.verdict is not None
    blocks = [found.blocks[row.case.id] for row in (base, other)]
    paired = paired_rounds(blocks[1], blocks[0])
    logs = replicate_logs(paired)
    spent = costs([*blocks[0], *blocks[1]])
    assert spent is not None
    pooled = [np.concatenate([steady(block) for block in mine]) for mine in blocks]
    stats = [{"mean": p.mean(), "median": np.median(p), "min": p.min()} for p in pooled]
    marked = other.marked or 0.0
    return {
        "run": done.id,
        "word": other.verdict.word,
        "ratio": other.verdict.ratio.value,
        "low": other.verdict.ratio.low,
        "high": other.verdict.ratio.high,
        "p": other.verdict.p,
        "replicates": len(logs),
        "seconds": found.run.seconds["measure"],
        "sd": float(np.std(logs, ddof=1)),
        "marked": marked,
        "quiet": other.quiet_ratio.value,
        "latency": [base.latency.value, other.latency.value],
        "costs": [spent.replicate_s, spent.round_s],
        "rounds": [np.round(part, 5).tolist() for parts in paired.values() for part in parts],
        **{field: float(stats[1][field] / stats[0][field]) for field in FIELDS},
    }


def _line(one: dict[str, Any]) -> str:
    return (
        f"{one['kind']:4s}  {one['word']:12s}  {one['ratio']:.4f} [{one['low']:.4f}, {one['high']:.4f}]"
        f"  {one['replicates']:2d} replicates, {one['seconds']:5.1f} s, sd {one['sd'] * 100:.2f} %"
        f"  means {one['mean']:.4f}  medians {one['median']:.4f}  minima {one['min']:.4f}"
    )


def compare_fail(one: dict[str, Any], field: str) -> tuple[bool, bool]:
    """Whether pytest-benchmark's `--benchmark-compare-fail=FIELD:2%` fails with B as new, and with A."""
    from pytest_benchmark.utils import PercentageRegressionCheck

    check: Any = PercentageRegressionCheck(field, RELEVANT)  # type: ignore[no-untyped-call]
    a, b = {field: 1.0}, {field: one[field]}
    return bool(check.fails(b, a)), bool(check.fails(a, b))


def _summary(found: list[dict[str, Any]]) -> list[str]:
    facts = fingerprint.fingerprint()
    lines = [
        "",
        f"bakeoff {own_version()}, Python {sys.version.split()[0]}, {facts['cpu']}, {facts['kernel']}",
    ]
    titles = {
        "aa": "A/A, quiet: false verdicts",
        "busy": "A/A beside a burning neighbour: false verdicts",
        "slow": "B slower by 3 %: found",
    }
    for kind, title in titles.items():
        some = [one for one in found if one["kind"] == kind]
        if not some:
            continue
        times = sorted(one["seconds"] for one in some)
        middle = duration(times[len(times) // 2])
        lines += ["", f"{title} ({len(some)} pairs; median {middle}, most {duration(times[-1])})"]
        slow = kind == "slow"
        hits = [one["word"] == "slower" if slow else one["word"] in FALSE for one in some]
        lines.append(_row("bakeoff ab", hits))
        words = sorted(Counter(one["word"] for one in some).items())
        lines.append("    words: " + ", ".join(f"{word} {count}" for word, count in words))
        for field in FIELDS:
            pairs = [compare_fail(one, field) for one in some]
            lines.append(_row(f"compare-fail {field}:2%", [ab if slow else ab or ba for ab, ba in pairs]))
        means = [one["mean"] >= 1.02 if slow else not 1 / 1.02 < one["mean"] < 1.02 for one in some]
        lines.append(_row("ratio of means, 2 %", means))
    lines += _resampled([one for one in found if one["kind"] == "aa"])
    return lines


def _resampled(found: list[dict[str, Any]]) -> list[str]:
    """Pairs put together at random from the replicates and rounds that the quiet A/A pairs recorded."""
    if not found:
        return []
    recorded = [np.array(part) for one in found for part in one["rounds"]]
    spent = Costs(*np.mean([one["costs"] for one in found], axis=0))
    rng = np.random.default_rng(0)
    lines = ["", f"{RESAMPLED} A/A pairs resampled from {len(recorded)} recorded replicates: false verdicts"]
    setting = (spent, PROFILES["ab"], RELEVANT / 100, BUDGET_S)
    pairs = [resample(recorded, 0.0, *setting, rng) for _ in range(RESAMPLED)]
    return [*lines, _row("bakeoff ab", [pair.word in FALSE for pair in pairs])]


def _row(name: str, hits: list[bool]) -> str:
    share = Share(sum(hits), len(hits))
    low, high = share.interval
    return f"    {name:24s} {share.count:3d} of {share.of:3d}  [{low * 100:4.1f} %, {high * 100:5.1f} %]"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
