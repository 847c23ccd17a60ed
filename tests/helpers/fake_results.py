"""Synthetic results for the tests of reports: real Blocks with seeded samples, judged by
`bench.compare.judge`.

Test data only. The samples wander and fall in two modes, as measured ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.compare.judge import results
from bench.compare.results import Results
from bench.interfaces.backend import Actual, Fact, Role, Target
from bench.interfaces.block import Block, Burst, Status
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.precision import runs_as
from bench.machine import topology
from bench.store.records import CaseRecord, RunRecord
from bench.store.sqlite import Store


def _caches() -> list[dict[str, Any]]:
    """As `bench.machine.topology` reads them of a machine with these."""
    kinds = [("1", "Data", "32K", "0"), ("2", "Unified", "512K", "0"), ("3", "Unified", "32768K", "0-1")]
    with TemporaryDirectory() as made:
        for number, facts in enumerate(kinds):
            folder = Path(made) / f"sys/devices/system/cpu/cpu0/cache/index{number}"
            folder.mkdir(parents=True)
            for name, text in zip(("level", "type", "size", "shared_cpu_list"), facts, strict=True):
                (folder / name).write_text(f"{text}\n")
        return topology.caches(Path(made))


MACHINE: dict[str, Any] = {
    "cpu": "AMD EPYC 7B13",
    "cpu_id": "family 25 model 1 stepping 1",
    "architecture": "x86_64",
    "flags": ["avx2", "f16c", "fma"],
    "packages": 1,
    "cores": 2,
    "threads": 2,
    "nodes": 1,
    "caches": _caches(),
    "smt": False,
    "governor": None,
    "turbo": None,
    "memory_bytes": 25_276_510_208,
    "memory_limit_bytes": None,
    "cpu_quota": None,
    "allowed_cpus": 2,
    "budget": {
        "cpus": [0, 1],
        "why": "one logical CPU per physical core of NUMA node 0",
        "memory_bytes": 25_276_510_208,
    },
    "pinned": True,
    "virtualised": True,
    "system": "Linux",
    "kernel": "6.1.0-18-cloud-amd64",
    "libc": "glibc 2.36",
    "python": "CPython 3.11.7",
}
VERSIONS = {
    "bakeoff": "0.1.0",
    "python": "3.11.7",
    "torch": "2.13.0",
    "onnxruntime": "1.31.1",
    "openvino": "2026.4.1",
    "numpy": "2.4.6",
}


@dataclass(frozen=True)
class Ask:
    """A case to make up: its latency in seconds, or how it ended."""

    backend: str
    seconds: float | None = None
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 2
    variant: str = ""
    preset: str = "stock"
    status: Status = "ok"
    reason: str = ""
    log: str = ""
    ran: str = ""
    error: float = 3e-6
    model_bytes: float | None = None  # made up where it is not told
    modes: bool = False
    disturbed: float = 0.04
    hit: float = 1.0  # how much slower a disturbed burst is
    drift: float = 0.012  # of replicates
    own_share: float | None = None  # of the device boundary: the device has a clock of its own
    kernels: float | None = None  # seconds, in a profile
    gpu: Mapping[str, Any] | None = None  # what the watcher read
    emulated: bool = False


@dataclass(frozen=True)
class Made:
    """A case with its blocks."""

    record: CaseRecord
    blocks: tuple[Block, ...]


def make_blocks(case: Case, ask: Ask, seed: int, replicates: int = 3, rounds: int = 10) -> tuple[Block, ...]:
    """Blocks of a case: lognormal samples, two modes where asked, a cold first sample in each burst."""
    rng = np.random.default_rng(seed)
    if ask.seconds is None:
        return (Block(case.id, 0, 0, ask.status, ask.reason, ask.log),)
    return tuple(_measured(case, ask, ask.seconds, rng, g, rounds) for g in range(replicates))


def _measured(
    case: Case, ask: Ask, seconds: float, rng: np.random.Generator, replicate: int, rounds: int
) -> Block:
    block = Block(case.id, replicate, replicate, ask.status, ask.reason, ask.log)
    wander = np.exp(rng.normal(0, ask.drift))
    samples: list[float] = []
    device: list[float] = []
    for number in range(rounds):
        count = min(400, max(3, round(0.15 / seconds)))
        slow = 1.28 if ask.modes and rng.random() < 0.4 else 1.0
        burst = seconds * wander * slow * np.exp(rng.normal(0, 0.02) + rng.normal(0, 0.03, count))
        burst[0] *= 1.05
        burst[rng.random(count) < 0.004] *= 1.5
        disturbed = bool(rng.random() < ask.disturbed)
        burst *= ask.hit if disturbed else 1.0
        staged = 0.985 * burst[-max(1, count // 2) :]
        facts = {"wall_ns": float(burst.sum() + staged.sum()) * 1.001e9}
        place = (len(samples), count, len(device), staged.size)
        block.bursts.append(Burst(number, int(rng.integers(4)), *place, facts, disturbed))
        samples.extend(burst)
        device.extend(staged)
    block.host_ns = np.rint(np.array(samples) * 1e9).astype(np.int64)
    block.device_ns = np.rint(np.array(device) * 1e9).astype(np.int64)
    if ask.own_share is not None:
        block.own_ns = np.rint(block.device_ns * ask.own_share).astype(np.int64)
    block.gpu = {**(ask.gpu or {})}
    idle, model = rng.uniform(1.5e8, 5e8), rng.uniform(1.0e8, 2e8)
    model = model if ask.model_bytes is None else ask.model_bytes
    block.figures = {
        "import_ns": rng.uniform(0.2, 1.5) * 1e9,
        "load_ns": rng.uniform(0.2, 1.5) * 1e9,
        "first_ns": seconds * 2.1e9,
        "ready_ns": rng.uniform(1, 3) * 1e9,
        "peak_bytes": idle + model,
        "model_bytes": model,
        "cpu_ns": float(block.host_ns.sum() + block.device_ns.sum()) * ask.threads * 0.97,
        "inner": 1,
    }
    block.warmup = {"count": 40, "ns": 1.1e9, "capped": ask.modes and replicate == 2}
    block.verification = {"before": {"error": ask.error}, "after": {"error": ask.error}}
    evidence = Fact(ask.ran or runs_as(ask.precision), "executed", "execution graph, weighted by time")
    provider = "CPUExecutionProvider" if ask.backend == "onnxruntime" else ""
    actual = Actual(
        evidence,
        Fact(ask.device, "reported"),
        Fact(provider, "executed"),
        Fact(str(ask.threads), "reported"),
        emulated=ask.emulated,
        settings={} if ask.kernels is None else {"kernels_ns": round(ask.kernels * 1e9)},
    )
    block.actual = asdict(actual)
    block.versions = {ask.backend: VERSIONS.get(ask.backend, "1.0")}
    return block


def make(
    workload: str,
    asks: Sequence[Ask],
    *,
    sequence: int | None = None,
    unit: str = "image",
    seed: int = 1,
    role: Role = "runtime",
    replicates: int = 3,
    batch: int = 1,
) -> list[Made]:
    """Cases of one group; the first is the baseline."""
    made = []
    for i, ask in enumerate(asks):
        target = Target(ask.device, ask.precision, ask.threads, ask.preset, ask.variant)
        case = Case(workload, "c0ffee0000000000", batch, sequence, ask.backend, target, role=role)
        cost = {"flops": 8_200_000_000, "bytes": 103_000_000, "parameters": 25_600_000}
        fp32 = {"low": 0.0, "high": 7.6e-6, "rule": "16 × torch fp32's own error"}
        band = fp32 if ask.precision == "fp32" else {"low": 7.6e-6, "high": 2e-2, "rule": "3 × torch bf16"}
        record = CaseRecord(case, i == 0 and role == "runtime", unit, cost, band, {"format": "onnx"})
        made.append(Made(record, make_blocks(case, ask, seed * 100 + i, replicates)))
    return made


def harness() -> list[Made]:
    """The null backend and the anchor."""
    null = make(HARNESS, [Ask("null", 4.1e-7)], unit="inference", role="overhead")
    return null + make(HARNESS, [Ask("anchor", 0.0121)], unit="inference", role="anchor")


def judged(made: Sequence[Made], **run: Any) -> Results:
    """The cases as a run in a store in memory, read back and judged as any other."""
    facts: dict[str, Any] = {
        "id": "20261122-111903",
        "name": "quick",
        "state": "finished",
        "started": "2026-11-22T11:19:03+00:00",
        "finished": "2026-11-22T11:22:48+00:00",
        "machine": MACHINE,
        "versions": VERSIONS,
        "command": ["run", "quick"],
        "seconds": {"prepare": 61.0, "measure": 164.0},
    }
    with Store.open(Path(":memory:"), create=True) as store:
        run_id = store.create_run(RunRecord(**(facts | run)))
        store.add_cases(run_id, [one.record for one in made])
        store.add_blocks(run_id, [block for one in made for block in one.blocks])
        return results(store, run_id)


@cache
def realistic() -> Results:
    """Two workloads on three runtimes: a close race, a precision that did not run, one that crashed."""
    no_bf16 = "this CPU computes no bf16 (neither avx512_bf16 nor amx_bf16); fp32 is what it has"
    log = "Loading /home/alice/models/minilm.xml\n  at frame 1\n  at frame 2\nSegmentation fault"
    crash = "the worker died of signal 11 (SIGSEGV) while loading"
    cnn = [
        Ask("torch", 0.0893),
        Ask("onnxruntime", 0.0437, modes=True),
        Ask("openvino", 0.0431, error=4.1e-6),
        Ask("openvino", 0.0433, precision="fp16", ran="fp32"),
        Ask("torch", precision="bf16", status="unsupported", reason=no_bf16),
    ]
    encoder = [
        Ask("torch", 0.0288),
        Ask("onnxruntime", 0.0146, modes=True),
        Ask("openvino", 0.0119, modes=True),
        Ask("openvino", precision="int8", status="crashed", reason=crash, log=log),
    ]
    made = make("resnet50", cnn, seed=3)
    made += make("minilm-l6", encoder, sequence=128, unit="sequence", seed=4)
    return judged(made + harness(), notes=["4 % of the bursts were disturbed by other processes."])


@cache
def judgements() -> Results:
    """Every verdict that a run can give, and rounds that others disturbed, which hide a difference."""
    asks = [
        Ask("torch", 0.0288, drift=0.002),
        Ask("onnxruntime", 0.0241, drift=0.004),
        Ask("openvino", 0.0262, drift=0.002, disturbed=0.45, hit=1.2),
        Ask("executorch", 0.0288, drift=0.002),
        Ask("tvm", 0.0292, drift=0.05),
        Ask("jax", 0.0361, drift=0.006),
        Ask("iree", 0.0233, precision="fp16", ran="fp32"),
    ]
    made = make("minilm-l6", asks, sequence=128, unit="sequence", seed=14, replicates=6)
    return judged(made + harness(), name="standard", suite={"profile": "standard"})


@cache
def settled() -> Results:
    """A long run in which the clear case was settled at the first look and the other went on."""
    asks = [Ask("torch", 0.03, drift=0.004), Ask("onnxruntime", 0.02, drift=0.004)]
    asks.append(Ask("openvino", 0.0303, drift=0.02))
    made = make("resnet50", asks, seed=31, replicates=12)
    clear = made[1]
    made[1] = Made(clear.record, clear.blocks[:6])
    return judged(made, name="publish", suite={"profile": "publish"}, command=["run", "publish"])


@cache
def twelve() -> Results:
    """Twelve runtimes over three decades of latency."""
    first = ["torch", "onnxruntime", "openvino", "tvm", "jax", "iree"]
    second = ["executorch", "tensorflow", "ncnn", "mnn", "ctranslate2", "tinygrad"]
    asks = [
        Ask(name, 0.004 * 1.85**i, variant="compile-max-autotune" if name == "tvm" else "")
        for i, name in enumerate(first + second)
    ]
    return judged(make("resnet50", asks, seed=5) + harness())


def sweep(batches: Sequence[int], replicates: int = 3) -> Results:
    """Two workloads over batches in three precisions on three runtimes; one int8 is wrong, one is refused."""
    precisions = {"fp32": (1.0, 3e-6, 1.0), "bf16": (0.7, 6e-3, 0.55), "int8:qdq": (0.4, 1.4e-2, 0.3)}
    runtimes = {"torch": (1.8, 1.0), "onnxruntime": (1.1, 0.97), "openvino": (1.0, 0.94)}
    made: list[Made] = []
    for workload, unit, sequence, alone in (
        ("resnet50", "image", None, 0.043),
        ("minilm-l6", "sequence", 128, 0.012),
    ):
        for batch in batches:
            asks = []
            for backend, (slower, gain) in runtimes.items():
                for precision, (share, error, size) in precisions.items():
                    seconds = alone * slower * share * batch ** (gain - 0.03 * (precision == "fp32"))
                    ask = Ask(backend, seconds, precision, model_bytes=1.1e8 * slower * size * batch**0.2)
                    ask = replace(ask, error=error * slower**0.5)
                    if (workload, backend, precision) == ("resnet50", "onnxruntime", "int8:qdq"):
                        ask = replace(ask, status="wrong-output", error=0.4, reason="error 0.4 is over 0.02")
                    if (workload, backend, precision) == ("minilm-l6", "torch", "bf16"):
                        ask = replace(ask, seconds=None, status="unsupported", reason="no bf16 here")
                    asks.append(ask)
            made += make(
                workload,
                asks,
                sequence=sequence,
                unit=unit,
                seed=40 + batch,
                replicates=replicates,
                batch=batch,
            )
    return judged(made + harness(), name="batch-sweep")


@cache
def swept() -> Results:
    """Three batches: few enough to look at."""
    return sweep((1, 4, 16))


H200 = {
    "name": "NVIDIA H200",
    "compute_capability": "9.0",
    "memory_bytes": 150_754_820_096,
    "power_limit_w": 700.0,
    "ceilings": {"copy_bytes_per_s": 4.3e12, "fp32_flops_per_s": 5.1e13, "bf16_flops_per_s": 7.9e14},
}
GPU_MACHINE = {
    **MACHINE,
    "cpu": "INTEL XEON PLATINUM 8581C",
    "cores": 16,
    "gpus": [H200],
    "gpu_driver": "580.159.03",
    "gpu_cuda": "13.0",
}


def watched(seconds: float, watts: float, **more: Any) -> dict[str, Any]:
    """What a block keeps of a GPU at so many watts."""
    count = round(10.5 / seconds)
    window = {"window_s": 10.5, "count": count, "inference_ns": 1.04e9 * seconds, "sm_mhz": 1755.0}
    window |= {"power_w": watts, "energy_j": watts * 1.04 * seconds, "source": "counter", "throttled": 0.6}
    told = {"memory_bytes": 1.9e9, "memory_how": "told for its process", "sm_mhz": 1980.0, "throttled": 0.0}
    return {**told, "temperature_c": 52.0, "others": 0, "sustained": {**window, "doubts": []}, **more}


@cache
def on_gpu() -> Results:
    """ResNet-50 on a GPU: launch-bound in eager mode, quicker as one graph; one whose energy is in doubt."""
    short = watched(0.0009, 600.0)
    short["sustained"]["doubts"] = ["the window lasted 4.2 s; it takes 10"]
    asks = [
        Ask(
            "torch",
            0.0041,
            device="cuda:0",
            threads=1,
            own_share=0.97,
            kernels=0.0012,
            gpu=watched(0.0041, 210.0),
        ),
        Ask(
            "torch",
            0.0014,
            "bf16",
            "cuda:0",
            1,
            "cudagraphs",
            error=6e-3,
            own_share=0.95,
            kernels=0.00121,
            gpu=watched(0.0014, 480.0),
        ),
        Ask(
            "onnxruntime", 0.0009, "fp16", "cuda:0", 1, error=6e-3, own_share=0.96, kernels=0.00081, gpu=short
        ),
        Ask("tensorrt", device="cuda:0", threads=1, status="missing", reason="tensorrt cannot be imported"),
    ]
    return judged(
        make("resnet50", asks, seed=21) + harness(),
        machine=GPU_MACHINE,
        id="20261123-101500",
        name="gpu-quick",
    )


@cache
def nasty() -> Results:
    """What a stranger's store may hold: markup in every text, endless reasons, nothing that worked."""
    markup = "<script>alert('reason')</script><img src=x onerror=alert(1)> & </script>"
    endless = "the runtime refused the model because " + "x" * 400 + " and " + "so on and on, " * 40
    log = "\n".join(f"line {i}: {markup}" for i in range(60))
    asks = [
        Ask("torch", status="failed", reason=markup, log=log),
        Ask("onnxruntime", status="out-of-memory", reason=endless),
        Ask("openvino", status="timeout", reason="warm-up took longer than 60 s"),
        Ask(
            "<b>bold</b>", 0.02, status="wrong-output", reason="error inf is over 7.6e-06", error=float("inf")
        ),
        Ask("absent", status="missing"),
    ]
    made = make("</title><script>1</script>", asks, seed=6)
    return judged(made, name=markup, notes=[markup, endless], state="interrupted")


@cache
def single() -> Results:
    """One case of one replicate: a value without an interval, nothing to compare with, no harness rows."""
    return judged(make("resnet50", [Ask("onnxruntime", 0.0437, threads=1)], seed=9, replicates=1))


@cache
def empty() -> Results:
    """A run that was killed before anything was measured."""
    made = make("resnet50", [Ask("torch", 0.05)])
    return judged([Made(made[0].record, ())], state="running", machine={}, versions={}, finished=None)
