"""From a suite to cases: what will be measured, what is refused and why, and who is compared with whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from bench.interfaces.axes import more
from bench.interfaces.backend import EMULATED, Capabilities, Devices, Support, Target
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import BackendUnavailable, UsageError, did_you_mean
from bench.interfaces.precision import word
from bench.interfaces.workload import Workload
from bench.machine.budget import Budget
from bench.machine.gpu import devices
from bench.machine.gpu.nvml import Gpu
from bench.suite.profiles import PROFILES, Profile
from bench.suite.suite import BackendEntry, Suite, WorkloadEntry

Refusal = tuple[Case, Literal["unsupported", "missing"], str]
NONE: Mapping[str, Gpu] = MappingProxyType({})
Probed = Mapping[str, Capabilities | BackendUnavailable]  # `NAME[==VERSION]` → what its probe said


@dataclass(frozen=True, slots=True)
class Plan:
    """What a suite means on this machine.

    Attributes:
        cases: all that will be measured, each once, in the suite's order; the harness's own come last.
        refused: (case, status, reason) of what cannot be.
        groups: group → ids of its cases, which are compared with each other; the harness's are in none.
        baselines: group → id of the case that the others are compared with, None where it was refused.
    """

    cases: tuple[Case, ...]
    refused: tuple[Refusal, ...]
    groups: Mapping[str, tuple[str, ...]]
    baselines: Mapping[str, str | None]
    profile: Profile = field(default_factory=lambda: PROFILES["quick"])


def plan(suite: Suite, budget: Budget, capabilities: Probed, gpus: Mapping[str, Gpu] = NONE) -> Plan:
    """Lays out the suite's cases for a machine.

    Args:
        suite: what is asked for.
        budget: the cores that `auto` threads mean, and the most that a case may ask for.
        capabilities: `NAME[==VERSION]` of each backend → its probe's answer, or the error that says why not.
            A backend that is not in it counts as missing.
        gpus: device → GPU or instance: what `cuda:all` and UUIDs mean (`bench.machine.gpu.devices`).

    Raises:
        UsageError: a UUID that could be several GPUs'; a workload or a backend that no case is left of.
        ModelFileError: a workload's local weights are missing or do not fit.
    """
    cases: dict[str, Case] = {}
    refused: dict[str, Refusal] = {}
    asked = [*_asked(suite, budget, gpus), *((None, case) for case in _harness(suite))]
    _require_some_of_each(suite, [entry for entry, _ in asked if entry], [case for _, case in asked])
    first = next(entry for entry in suite.backends if entry.spec == suite.baseline_spec)
    candidates: list[Case] = []
    for entry, case in asked:
        case, refusal = _judge(case, budget, capabilities, gpus)
        if refusal is None:
            cases.setdefault(case.id, case)
            if entry is first:
                candidates.append(case)
        else:
            refused.setdefault(case.id, (case, *refusal))
    groups: dict[str, list[str]] = {}
    for case in cases.values():
        if case.workload != HARNESS:
            groups.setdefault(case.group, []).append(case.id)
    return Plan(
        cases=tuple(cases.values()),
        refused=tuple(refused.values()),
        groups={group: tuple(ids) for group, ids in groups.items()},
        baselines={
            group: _baseline([case for case in candidates if case.group == group]) for group in groups
        },
        profile=PROFILES[suite.profile],
    )


def _require_some_of_each(suite: Suite, backends: list[BackendEntry], cases: list[Case]) -> None:
    """Lists of precisions that have nothing in common leave a workload or a backend out without a row."""
    named = {case.workload for case in cases}
    lost = [entry.name for entry in suite.workloads if entry.name not in named]
    lost += [entry.spec for entry in suite.backends if entry not in backends]
    if lost:
        raise UsageError(
            f"no case is left of {', '.join(lost)}: the precisions of the workloads and of the backends have"
            " none in common",
            hint="name one on both sides: --precision LIST, or `precisions` in the suite file",
        )


def probe_name(spec: str) -> str:
    """`onnxruntime:openvino==1.31.1` → `onnxruntime==1.31.1`: what a probe is asked for."""
    from bench.plugins.backend_registry import parse

    name, _, version = parse(spec)
    return f"{name}=={version}" if version else name


def _asked(
    suite: Suite, budget: Budget, gpus: Mapping[str, Gpu]
) -> Iterator[tuple[BackendEntry | None, Case]]:
    """Every combination, workload and shape outermost, so that the cases of a group follow each other."""
    from bench.plugins.workload_registry import get
    from bench.prepare.graph import content_for

    for entry in suite.workloads:
        workload = get(entry.name)
        content = content_for(entry.name, entry.weights)
        for batch, length in _shapes(suite, entry, workload):
            for backend in suite.backends:
                for target in _targets(suite, entry, backend, budget, gpus):
                    case = _case(entry, content, batch, {workload.axis: length}, backend, target)
                    for axes in _more(suite):
                        yield backend, replace(case, rotate=suite.rotate, axes=axes)


def _more(suite: Suite) -> Iterator[dict[str, str | int]]:
    """Every combination of the axes that have no field of their own; {} where none is asked for."""
    lists = {axis.flag: getattr(suite, axis.key) for axis in more() if getattr(suite, axis.key)}
    for values in itertools.product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def _shapes(suite: Suite, entry: WorkloadEntry, workload: Workload) -> Iterator[tuple[int, int | None]]:
    asked = {"sequence": entry.sequence, "context": entry.context}[workload.axis]
    lengths: tuple[int | None, ...] = asked or (workload.default_length,)
    yield from itertools.product(entry.batch or suite.batches, lengths)


def _targets(
    suite: Suite, workload: WorkloadEntry, backend: BackendEntry, budget: Budget, gpus: Mapping[str, Gpu]
) -> Iterator[Target]:
    from bench.plugins.backend_registry import parse

    _, variant, _ = parse(backend.spec)
    precisions = backend.precisions or workload.precisions or suite.precisions
    if workload.precisions:
        precisions = tuple(one for one in precisions if one in workload.precisions)
    asked = (devices.spelt(name, gpus) for name in backend.devices or suite.devices)
    for preset, precision, device, threads in itertools.product(
        backend.preset,
        precisions,
        dict.fromkeys(itertools.chain.from_iterable(asked)),
        backend.threads or suite.threads,
    ):
        count = len(budget.cpus) if threads == "auto" else threads
        yield Target(device, precision, count, preset, variant, dict(backend.options))


def _case(
    entry: WorkloadEntry,
    content: str,
    batch: int,
    length: Mapping[str, int | None],
    backend: BackendEntry,
    target: Target,
) -> Case:
    from bench.plugins.backend_registry import get, parse

    name, _, version = parse(backend.spec)
    return Case(
        workload=entry.name,
        content=content,
        batch=batch,
        sequence=length.get("sequence"),
        context=length.get("context"),
        backend=name,
        target=target,
        version=version,
        weights=entry.weights,
        role=get(name).role,
        twin=backend.twin,
    )


def _harness(suite: Suite) -> Iterator[Case]:
    """The harness's own cases: the anchor and the null backend, one each."""
    from bench.plugins.backend_registry import get

    wanted = {"anchor": suite.anchor, "null": suite.null}
    for name in (name for name, asked in wanted.items() if asked):
        target = Target(threads=1)
        yield Case(HARNESS, HARNESS, 1, None, name, target, role=get(name).role)


def _judge(
    case: Case, budget: Budget, capabilities: Probed, gpus: Mapping[str, Gpu]
) -> tuple[Case, tuple[Literal["unsupported", "missing"], str] | None]:
    """The case with its device spelt out, and the status and reason if it cannot be measured."""
    found = capabilities.get(f"{case.backend}=={case.version}" if case.version else case.backend)
    if case.workload == HARNESS and found is None:
        return case, None  # it is part of bakeoff and needs no probe
    if not isinstance(found, Capabilities):
        why = found.reason if found else f"{case.backend} was not probed"
        return case, ("missing", why)
    table = found.of(case.target.variant)
    device = _device(case.target.device, table, gpus)
    if device is None:
        why = f"{case.backend} has no device {case.target.device}; it has {', '.join(table) or 'none'}"
        if (kind := case.target.device_kind) != "cpu" and kind in found.detail:
            why += f" ({found.detail[kind]})"
        return case, ("unsupported", why)
    case = replace(case, target=replace(case.target, device=device))
    why = _unshaped(case) or _threads(case, budget) or _unknown_option(case, found)
    why = why or _precision(case, table[devices.whole(device)])
    return case, ("unsupported", why) if why else None


def _device(asked: str, table: Devices, gpus: Mapping[str, Gpu]) -> str | None:
    """`cuda` means the first of its kind where none bears that very name; an instance of a GPU can what the
    GPU can."""
    if asked in table or (asked in gpus and devices.whole(asked) in table):
        return asked
    return next((device for device in table if device.partition(":")[0] == asked), None)


def _unshaped(case: Case) -> str:
    from bench.plugins.workload_registry import get

    if case.workload == HARNESS:
        return ""
    try:
        get(case.workload).io(case.batch, case.length)
    except ValueError as error:
        return f"{case.workload} {case.shape}: {error}"
    return ""


def _threads(case: Case, budget: Budget) -> str:
    asked, have = case.target.threads, len(budget.cpus)
    return f"{asked} threads asked for, the budget is {have}: {budget.why}" if asked > have else ""


def _unknown_option(case: Case, found: Capabilities) -> str:
    """Of a backend whose options only its runtime knows; others' are checked with the suite."""
    unknown = [name for name in case.target.options if name not in found.options] if found.options else []
    if not unknown:
        return ""
    return f"{case.backend} takes no option {unknown[0]!r}; {did_you_mean(unknown[0], found.options)}"


def _precision(case: Case, table: Mapping[str, Support]) -> str:
    target = case.target
    support = table.get(word(target.arithmetic))
    where = f"{case.backend_spec} on {target.device}"
    if support is None or support.level == "none":
        have = ", ".join(
            name + (EMULATED if s.level == "emulated" else "")
            for name, s in table.items()
            if s.level != "none"
        )
        why = f" ({support.why})" if support and support.why else ""
        return f"{where} has no {target.arithmetic}{why}; it has {have or 'none'}"
    if support.level == "emulated" and not target.emulation_allowed:
        why = f" ({support.why})" if support.why else ""
        asked = f"--precision {target.arithmetic}{EMULATED}"
        return f"{where} only emulates {target.arithmetic}{why}; `{asked}` measures it, labelled"
    if support.level == "native" and target.emulation_allowed:
        return f"{where} computes {target.arithmetic} natively; ask for --precision {target.arithmetic}"
    return ""


def _baseline(candidates: list[Case]) -> str | None:
    """The first of the baseline entry's cases in a group, one in fp32 before others."""
    in_fp32 = [case for case in candidates if case.target.precision == "fp32"]
    return next((case.id for case in in_fp32 + candidates), None)
