"""The columns of the table of cases: one entry each, with unit and meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bench.compare.commands import reproduce
from bench.compare.naming import FIELDS, axes
from bench.compare.results import Results, Row
from bench.interfaces.axes import AXES
from bench.interfaces.block import MEASURED
from bench.text.numbers import told


class Column(NamedTuple):
    """A column of `frame`: its name, pandas dtype, meaning, and how it is read."""

    name: str
    dtype: str
    text: str
    get: Callable[[Results, Row], Any]


def _case(name: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: getattr(row.case, name)


def _started(which: Callable[[Iterable[str]], str]) -> Callable[[Results, Row], str]:
    def get(results: Results, row: Row) -> str:
        blocks = results.blocks.get(row.case.id, ())
        times = [one.started for one in blocks if one.started and one.status in MEASURED]
        return which(times) if times else ""

    return get


def _row(name: str, scale: float = 1.0) -> Callable[[Results, Row], Any]:
    return lambda results, row: _scaled(getattr(row, name), scale)


def _estimate(name: str, end: str, scale: float = 1.0) -> Callable[[Results, Row], Any]:
    return lambda results, row: _scaled(getattr(getattr(row, name), end), scale)


def _verdict(name: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: getattr(row.verdict, name) if row.verdict else None


def _quantile(name: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: _scaled(row.quantiles.get(name), 1e3)


def _tail(name: str, end: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: _scaled(getattr(row.tails[name], end) if name in row.tails else None, 1e3)


def _gpu(name: str, scale: float = 1.0) -> Callable[[Results, Row], Any]:
    return lambda results, row: _scaled(getattr(row.gpu, name), scale) if row.gpu else None


def _cost(name: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: row.record.cost.get(name)


def _scaled(value: Any, scale: float) -> Any:
    return value * scale if scale != 1.0 and value is not None else value


def gflops_per_second(row: Row) -> float | None:
    """The model's operations over the time of one inference; None where either is unknown."""
    flops, seconds = row.record.cost.get("flops"), row.latency.value
    return flops / seconds / 1e9 if flops and seconds else None


_FACTS: dict[str, tuple[str, str, str]] = {  # what is no axis: field → column, dtype, meaning
    "content": ("content", "str", "hash of the workload's definition and weights"),
    "version": ("version_asked", "str", "version of the runtime asked for; empty for the one installed"),
    "scenario": ("scenario", "str", "how requests arrive"),
    "role": ("role", "str", "runtime; the harness's own rows have others"),
    "variant": ("variant", "str", "the runtime's variant; empty for the first one"),
}
_RENAMED = {"option": "options"}
_AXES: Mapping[str, tuple[str, str, str]] = _FACTS | {
    name: (name, *axis.column) for axis in AXES for name in [_RENAMED.get(axis.flag, axis.flag)]
}


def _axes() -> Iterator[Column]:
    """A column for each field of a case and of its target, by their definitions; KeyError for one that has no
    meaning here yet."""
    for field in FIELDS:
        name, dtype, text = _AXES[field]
        yield Column(name, dtype, text, _axis(field))


def _axis(field: str) -> Callable[[Results, Row], Any]:
    return lambda results, row: axes(row.case)[field]


IDENTITY: tuple[str, ...] = tuple(_AXES[field][0] for field in FIELDS)
"""The columns in one of which any two rows of a run differ."""


def not_finite(results: Results, row: Row) -> str:
    """`error is inf`: figures that no file format holds, whose fields are therefore empty."""
    figures = ((column.name, column.get(results, row)) for column in SPEC if column.dtype == "float64")
    return ", ".join(f"{name} is {value}" for name, value in figures if value is not None and not told(value))


SPEC: tuple[Column, ...] = (
    Column("run", "str", "id of the run", lambda results, row: results.run.id),
    *_axes(),
    Column(
        "version",
        "str",
        "version of the runtime that ran; where nothing ran, the one that was asked for",
        lambda results, row: row.runtime_version or row.case.version or "",
    ),
    Column("status", "str", "how the case ended", _row("status")),
    Column("reason", "str", "why it did not end ok", _row("reason")),
    Column("ranked", "boolean", "whether the case may win its group", _row("ranked")),
    Column("unranked_because", "str", "why it may not win", _row("unranked_because")),
    Column("baseline", "boolean", "whether its group is compared with it", _row("baseline")),
    Column(
        "latency_ms",
        "float64",
        "one inference, host arrays in to host arrays out, in ms: median of block medians",
        _estimate("latency", "value", 1e3),
    ),
    Column("latency_low_ms", "float64", "lower end of its 95 % interval", _estimate("latency", "low", 1e3)),
    Column("latency_high_ms", "float64", "upper end of its 95 % interval", _estimate("latency", "high", 1e3)),
    Column(
        "device_latency_ms",
        "float64",
        "one inference from staged inputs to outputs complete where the runtime leaves them, in ms",
        _estimate("device_latency", "value", 1e3),
    ),
    Column(
        "device_latency_low_ms",
        "float64",
        "lower end of its 95 % interval",
        _estimate("device_latency", "low", 1e3),
    ),
    Column(
        "device_latency_high_ms",
        "float64",
        "upper end of its 95 % interval",
        _estimate("device_latency", "high", 1e3),
    ),
    Column(
        "own_latency_ms",
        "float64",
        "of that, from its first to its end by the device's own clock, in ms; empty if not told",
        _estimate("own_latency", "value", 1e3),
    ),
    Column(
        "own_latency_low_ms",
        "float64",
        "lower end of its 95 % interval",
        _estimate("own_latency", "low", 1e3),
    ),
    Column(
        "own_latency_high_ms",
        "float64",
        "upper end of its 95 % interval",
        _estimate("own_latency", "high", 1e3),
    ),
    Column(
        "kernels_ms", "float64", "its kernels together, in an untimed profile, in ms", _row("kernels", 1e3)
    ),
    Column(
        "launch_share",
        "float64",
        "share of device_latency_ms in which none of its kernels ran: the device waited for the host",
        _row("launch_share"),
    ),
    Column("p50_ms", "float64", "median of the pooled steady host samples, in ms", _quantile("p50")),
    Column("p90_ms", "float64", "90th percentile; empty where the sample is too small", _quantile("p90")),
    Column("p95_ms", "float64", "95th percentile; empty where the sample is too small", _quantile("p95")),
    Column("p99_ms", "float64", "99th percentile; empty where the sample is too small", _quantile("p99")),
    *(
        Column(f"{name}_{end}_ms", "float64", f"{words} end of its 95 % interval", _tail(name, end))
        for name in ("p95", "p99")
        for end, words in (("low", "lower"), ("high", "upper"))
    ),
    Column(
        "p99_9_ms", "float64", "99.9th percentile; empty where the sample is too small", _quantile("p99.9")
    ),
    Column("rate", "float64", "units of work per second at concurrency 1", _row("rate")),
    Column("unit", "str", "the unit of work: image, sequence, token", _row("unit")),
    Column(
        "ratio",
        "float64",
        "latency over the baseline's, paired by rounds; under 1 is faster",
        _estimate("ratio", "value"),
    ),
    Column("ratio_low", "float64", "lower end of its interval, at `level`", _estimate("ratio", "low")),
    Column("ratio_high", "float64", "upper end of its interval, at `level`", _estimate("ratio", "high")),
    Column(
        "verdict", "str", "what may be said of the ratio: faster, slower, equivalent, …", _verdict("word")
    ),
    Column("verdict_why", "str", "why the verdict is no stronger", _verdict("reason")),
    Column("p", "float64", "two-sided p of a ratio of 1", _verdict("p")),
    Column(
        "p_adjusted",
        "float64",
        "p adjusted for all comparisons of the run (Benjamini-Hochberg)",
        _verdict("adjusted"),
    ),
    Column(
        "level",
        "float64",
        "of the ratio's interval: 0.95, or more where several looks share α",
        _verdict("level"),
    ),
    Column(
        "detectable",
        "float64",
        "least difference, as a fraction, that this much data finds 8 times in 10",
        _verdict("detectable"),
    ),
    Column("ended", "str", "why no further replicate was measured", _row("ended")),
    Column(
        "quiet_latency_ms",
        "float64",
        "latency without the rounds that others disturbed, in ms",
        _estimate("quiet_latency", "value", 1e3),
    ),
    Column(
        "quiet_ratio",
        "float64",
        "ratio without the rounds that others disturbed",
        _estimate("quiet_ratio", "value"),
    ),
    Column("quiet_ratio_low", "float64", "lower end of its 95 % interval", _estimate("quiet_ratio", "low")),
    Column("quiet_ratio_high", "float64", "upper end of its 95 % interval", _estimate("quiet_ratio", "high")),
    Column(
        "undisturbed_verdict",
        "str",
        "the verdict without those rounds; empty where none was disturbed",
        lambda results, row: row.undisturbed.word if row.undisturbed else "",
    ),
    Column(
        "round_noise",
        "float64",
        "standard deviation of the log ratio of one round within a replicate",
        lambda results, row: row.noise.within if row.noise else None,
    ),
    Column(
        "replicate_noise",
        "float64",
        "standard deviation of the log ratio from replicate to replicate, beyond that of its rounds",
        lambda results, row: row.noise.between if row.noise else None,
    ),
    Column("first_ms", "float64", "first inference after loading, in ms", _row("first", 1e3)),
    Column("load_ms", "float64", "loading the model file, in ms", _row("load", 1e3)),
    Column("build_ms", "float64", "one-time building, in ms", _row("build", 1e3)),
    Column("import_ms", "float64", "importing the runtime, in ms", _row("runtime_import", 1e3)),
    Column(
        "ready_ms", "float64", "process start to ready for the first inference, in ms", _row("ready", 1e3)
    ),
    Column(
        "peak_mb", "float64", "highest resident memory of the worker, in 10⁶ bytes", _row("peak_bytes", 1e-6)
    ),
    Column(
        "model_mb",
        "float64",
        "that less the idle runtime's: what the model added, in 10⁶ bytes",
        _row("model_bytes", 1e-6),
    ),
    Column(
        "gpu_memory_mb",
        "float64",
        "most memory of the GPU that the worker had, in 10⁶ bytes",
        _gpu("memory_bytes", 1e-6),
    ),
    Column("gpu_memory_how", "str", "how that is known", _gpu("memory_how")),
    Column(
        "sm_mhz", "float64", "clock of the GPU's multiprocessors in the bursts, mean in MHz", _gpu("sm_mhz")
    ),
    Column(
        "gpu_temperature_c",
        "float64",
        "temperature of the GPU in the bursts, mean in °C",
        _gpu("temperature_c"),
    ),
    Column(
        "throttled",
        "float64",
        "share of the readings in bursts at which the clocks were held back",
        _gpu("throttled"),
    ),
    Column(
        "sustained_ms",
        "float64",
        "one inference in an uninterrupted window of 10 s, in ms: what a GPU at its power cap settles at",
        _gpu("sustained", 1e3),
    ),
    Column("sustained_sm_mhz", "float64", "mean clock in that window, in MHz", _gpu("sustained_sm_mhz")),
    Column("power_w", "float64", "of the whole GPU in that window, in W", _gpu("power_w")),
    Column(
        "energy_j", "float64", "of one inference in that window, of the whole GPU, in J", _gpu("energy_j")
    ),
    Column("energy_valid", "boolean", "whether nothing speaks against that energy", _gpu("energy_valid")),
    Column(
        "energy_doubts",
        "str",
        "what speaks against it",
        lambda results, row: "; ".join(row.gpu.energy_doubts) if row.gpu else "",
    ),
    Column("cpu_share", "float64", "CPU time over wall time of the bursts, in cores", _row("cpu_share")),
    Column("error", "float64", "worst relative error against the reference", _row("error")),
    Column(
        "reference",
        "str",
        "what its outputs are compared with; empty if with nothing, or not known",
        lambda results, row: str(row.record.reference.get("source", "")),
    ),
    Column("band_low", "float64", "least error that the precision must show", _row("band_low")),
    Column("band_high", "float64", "largest error that the precision may show", _row("band_high")),
    Column("precision_ran", "str", "precision that really ran", _row("precision_ran")),
    Column(
        "precision_evidence",
        "str",
        "what that rests on: executed, reported, inferred or none",
        _row("precision_evidence"),
    ),
    Column("emulated", "boolean", "whether the hardware only emulates that precision", _row("emulated")),
    Column("mismatch", "str", "what ran differently from what was asked for", _row("mismatch")),
    Column("device_ran", "str", "device that really ran", _row("device_ran")),
    Column("provider", "str", "part of the runtime that ran it", _row("provider")),
    Column("threads_ran", "str", "threads that really ran", _row("threads_ran")),
    Column("replicates", "Int64", "fresh processes measured", _row("replicates")),
    Column("rounds", "Int64", "rounds of all its processes", lambda results, row: sum(row.rounds)),
    Column("samples", "Int64", "steady host samples", _row("samples")),
    Column("inner", "Int64", "inferences per sample; over 1 only under 20 µs", _row("inner")),
    Column("disturbed", "float64", "share of bursts that others disturbed", _row("disturbed")),
    Column("marked", "float64", "share of its rounds in which any worker was disturbed", _row("marked")),
    Column(
        "unsteady",
        "float64",
        "share of its blocks whose level changed in the last third of their rounds",
        _row("unsteady"),
    ),
    Column("warmup_capped", "boolean", "whether warm-up ended at its time limit", _row("warmup_capped")),
    Column("flops", "float64", "floating-point operations of one inference", _cost("flops")),
    Column(
        "gflops_per_s",
        "float64",
        "operations over latency, in 10⁹ per second",
        lambda results, row: gflops_per_second(row),
    ),
    Column(
        "ceiling_share",
        "float64",
        "least time by what was measured of the device, over the time at the device boundary",
        lambda results, row: row.roofline.value if row.roofline else None,
    ),
    Column(
        "ceiling",
        "str",
        "what binds it there: the matrix rate of its precision, or the memory's bandwidth",
        lambda results, row: row.roofline.of if row.roofline else "",
    ),
    Column("bytes", "float64", "least bytes that one inference must move", _cost("bytes")),
    Column("not_finite", "str", "figures that are infinite or no number: files leave them empty", not_finite),
    Column("measured_first", "str", "when its first process was started, UTC", _started(min)),
    Column("measured_last", "str", "when its last process was started, UTC", _started(max)),
    Column("case_id", "str", "hash of the facts that make the case", _case("id")),
    Column(
        "reproduce", "str", "the command that measures it again", lambda results, row: reproduce(row.case)
    ),
)
COLUMNS: Mapping[str, str] = {column.name: column.text for column in SPEC}
