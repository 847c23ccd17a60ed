"""Samples that are no times: a coarse or broken clock, a store that did not come whole."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare.results import Results
from bench.interfaces.block import Block, Burst
from bench.stats.pairs import burst_medians, steady
from reports.exporters import export, formats
from reports.html import page
from reports.tables.samples import samples_frame
from reports.terminal import run
from tests.helpers import fake_results as fake


@pytest.fixture(autouse=True)
def no_warning() -> object:
    """NumPy warns where a mean of nothing or a logarithm of 0 is taken: nobody's business but ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def zero(block: Block) -> None:
    block.host_ns[:] = 0
    block.device_ns[:] = 0


def negative(block: Block) -> None:
    block.host_ns[5:] *= -1
    block.host_ns[:5] = 0


def without_bursts(block: Block) -> None:
    block.bursts = []


def empty_bursts(block: Block) -> None:
    block.host_ns, block.device_ns = block.host_ns[:0], block.device_ns[:0]
    block.bursts = [
        replace(burst, start=0, count=0, device_start=0, device_count=0) for burst in block.bursts
    ]


BREAKS = [zero, negative, without_bursts, empty_bursts]


def broken(which: int, how: object, only: slice = slice(None)) -> Results:
    made = fake.make(
        "resnet50", [fake.Ask("torch", 0.1), fake.Ask("jax", 0.02), fake.Ask("tvm", 0.03)], seed=2
    )
    for block in made[which].blocks[only]:
        how(block)  # type: ignore[operator]
    return fake.judged(made + fake.harness())


def shown(results: Results, folder: Path) -> str:
    """In every form that there is; the terminal's is returned."""
    page.render(results)
    for name in formats():
        export(name, results, folder / name)
    samples_frame(results)
    return " ".join(run.plain(results).split())


@pytest.mark.parametrize("how", BREAKS)
def test_a_case_without_times_is_told_and_the_others_stand(how: object, tmp_path: Path) -> None:
    results = broken(1, how)
    torch, jax, tvm = results.rows
    assert jax.latency.value is None
    assert not jax.ranked
    assert "jax (not ranked): no figures" in shown(results, tmp_path)
    assert tvm.verdict is not None
    assert tvm.verdict.word == "faster"
    assert results.groups[0].winner is tvm
    assert torch.latency.value == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("how", BREAKS)
def test_a_baseline_without_times_gives_no_ratio(how: object, tmp_path: Path) -> None:
    results = broken(0, how)
    assert "jax and tvm (not comparable): its baseline: no figures" in shown(results, tmp_path)
    assert [row.ratio.value for row in results.rows[1:]] == [None, None]
    assert "torch" not in results.groups[0].answer.split("fastest")[0]


@pytest.mark.parametrize("how", BREAKS)
def test_a_replicate_without_times_is_left_out(how: object, tmp_path: Path) -> None:
    results = broken(1, how, slice(0, 1))
    jax = results.rows[1]
    assert jax.latency.value == pytest.approx(0.02, rel=0.1)
    assert (jax.latency.n, jax.ratio.n) == (2, 2)
    shown(results, tmp_path)


def test_a_time_of_nothing_among_others_is_no_sample_and_is_told() -> None:
    results = broken(1, lambda block: block.host_ns.__setitem__(slice(5, 50), 0))
    jax = results.rows[1]
    assert jax.latency.value == pytest.approx(0.02, rel=0.1)
    assert "135 samples of 0 ns or less" in " ".join(run.plain(results).split())
    assert all(steady(block).min() > 0 for block in results.blocks[jax.case.id])
    assert jax.quantiles["p50"] == pytest.approx(0.02, rel=0.1)


def test_what_is_marked_as_steady_is_what_the_figures_hold() -> None:
    made = fake.make("resnet50", [fake.Ask("torch", 0.02)], seed=2)
    block = made[0].blocks[0]
    block.host_ns[3] = 0
    frame = samples_frame(fake.judged(made))
    own = frame[(frame.replicate == 0) & (frame.boundary == "host")]
    assert not own.steady[own["sample"] == 0].item(), "cold"
    assert not own.steady[own["sample"] == 3].item(), "no time"
    assert own.ns[own.steady].tolist() == steady(block).tolist()


def test_a_burst_without_samples_has_no_median() -> None:
    block = Block("a", 0, 0, "ok", host_ns=np.array([90, 10, 12, 14], dtype=np.int64))
    block.bursts = [Burst(0, 0, 0, 4, 0, 0), Burst(1, 0, 4, 0, 0, 0)]
    assert burst_medians(block) == {0: 12.0}
