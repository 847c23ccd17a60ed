"""The main job from Python: `run(suite) -> Run`. What the command line does, without its printing."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache import artefacts
from bench.cache import lock as cache_lock
from bench.compare.across_machines import beside
from bench.compare.comparability import gone_on
from bench.compare.judge import results
from bench.compare.results import Results
from bench.compare.said import said
from bench.environments.probe import probe_all
from bench.interfaces.backend import Capabilities
from bench.interfaces.block import BROKEN, MEASURED, Block
from bench.interfaces.case import HARNESS, Case
from bench.interfaces.errors import BakeoffError
from bench.machine import budget as machine_budget
from bench.machine import fingerprint
from bench.machine.gpu import devices
from bench.machine.label import others
from bench.machine.lock import measurement_lock
from bench.measure.forecast import outlook
from bench.measure.gpu.peaks import with_ceilings
from bench.measure.gpu.watch_link import watching
from bench.measure.run import Rerun, measure
from bench.measure.turns import Limits, Listener
from bench.measure.worker_spec import Setting
from bench.plan.plan import Plan, plan, probe_name
from bench.plan.refusals import refuse, refuse_unprepared, require_measurable, require_prepared
from bench.plan.shards import Share, lacking, share_of
from bench.plugins import backend_registry
from bench.prepare.checkpoints.checkpoints import require_unchanged
from bench.prepare.graph import content_for
from bench.prepare.prepare import Prepared, prepare
from bench.processes.process import guard
from bench.progress.heard import Heard
from bench.stats.stopping import Course
from bench.store.records import CaseRecord, RunRecord, now
from bench.store.sqlite import DEFAULT_PATH, Store
from bench.suite.suite import Suite, load_suite

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Run:
    """A run in a store."""

    id: str
    store: Path

    def results(self) -> Results:
        """Rows, groups and answers, read afresh from the store."""
        with Store.open(self.store) as store:
            return results(store, self.id)

    def beside_others(self) -> Results:
        """The results with those of other machines whose runs lie in the same store (`bakeoff merge`): the
        last finished run of each."""
        with Store.open(self.store) as store:
            there = [results(store, run.id) for run in others(store.run(self.id), store.runs())]
            return beside(results(store, self.id), there)

    def table(self) -> pd.DataFrame:
        """One row a case; the columns are described in `reports.tables.columns.COLUMNS`."""
        from reports.tables.frame import frame

        return frame(self.results())

    def failed(self) -> list[str]:
        """Labels of the cases that failed, crashed, timed out, ran out of memory or came out wrong."""
        return failed(self.results())


def failed(found: Results) -> list[str]:
    """Labels of the cases that failed or came out wrong; see `Run.failed`."""
    rows = [*found.rows, *(row for row in (found.overhead, found.anchor) if row is not None)]
    return [row.label for row in rows if row.status in BROKEN]


def silent(event: str, facts: Mapping[str, Any]) -> None:
    """A listener that does not care."""


def open_run(run_id: str = "latest", store: Path = DEFAULT_PATH) -> Run:
    """A run that is there already, by its id, the beginning of it, or `latest`."""
    with Store.open(store) as opened:
        return Run(opened.run(run_id).id, store)


def plan_suite(suite: Suite) -> tuple[Plan, machine_budget.Budget, dict[str, Capabilities | BakeoffError]]:
    """Probes the suite's backends and lays out its cases for this machine."""
    for entry in suite.workloads:  # a file that is no checkpoint of it, before any worker is started
        content_for(entry.name, entry.weights)
    budget = machine_budget.core_budget()
    wanted = [probe_name(backend.name) for backend in suite.backends]
    capabilities = probe_all(
        [*wanted, *backend_registry.names("anchor"), *backend_registry.names("overhead")]
    )
    return plan(suite, budget, capabilities, devices.gpus()), budget, dict(capabilities)


def run(
    suite: Suite | str | Path = "quick",
    *,
    store: Path = DEFAULT_PATH,
    resume: str | None = None,
    rerun: Rerun = "onfail",
    command: Sequence[str] = (),
    wait: bool = True,
    listener: Listener = silent,
    share: Share | None = None,
    whole: bool = False,
) -> Run:
    """Plans, prepares, measures and stores; every block that was measured is kept whatever happens.

    Args:
        suite: a suite, a suite file's path, or the name of a built-in one. Ignored where `resume` is given.
        store: the SQLite file, made where it is missing.
        resume: id of a run in the store (or `latest`) that is gone on with instead of starting one.
        rerun: what of a resumed run is measured again besides what is missing: `onfail` what failed,
            `never` nothing, `always` everything.
        command: the arguments that a person typed, kept with the run.
        wait: for another measurement on this machine, rather than raise.
        listener: gets (event, facts) as work goes on; see `bench.progress`. What it raises ends its hearing,
            with a note in the run, and not the run.
        share: prepares and measures this share of the groups alone; `resume` goes on with the others.
        whole: measures nothing unless every case can be: part of a comparison compares nothing.

    Raises:
        NothingMeasurable: before anything is measured, with the reason of each case.
        BakeoffError: with the next command to type.
        KeyboardInterrupt: after the run was marked as interrupted; `resume` goes on with it.
    """
    fingerprint.require_supported_platform()
    with Store.open(store, create=resume is None) as opened, guard(), cache_lock.shared():
        opened.require_writable()
        artefacts.require_writable()
        heard = Heard(listener)
        work = _begun(opened, suite, resume, command, share, heard, whole)
        record = work.record
        heard("run", {"run": record, "plan": work.planned, "store": store})
        with _closing(record, opened, heard):
            _go(work, rerun, wait, whole)
        if share:
            _note_the_rest(work)
        opened.keep_estimates(record.id, said(results(opened, record.id)))
        heard("done", {"run": record})
        record.notes = heard.onto(record.notes)
        opened.update_run(record)
    return Run(record.id, store)


@dataclass(frozen=True, slots=True)
class _Work:
    """A run as it is begun or gone on with; `mine` is what of the plan is prepared and measured."""

    record: RunRecord
    store: Store
    suite: Suite
    planned: Plan
    mine: Plan
    budget: machine_budget.Budget
    listener: Listener


def _begun(
    store: Store,
    suite: Suite | str | Path,
    resume: str | None,
    command: Sequence[str],
    share: Share | None,
    listener: Listener,
    whole: bool,
) -> _Work:
    """The run in the store, planned, its record running. Raises NothingMeasurable before it is one."""
    old = store.run(resume) if resume is not None else None
    chosen = Suite.from_dict(old.suite) if old else _suite(suite)
    planned, budget, capabilities = plan_suite(chosen)
    if old:
        require_unchanged((one.case for one in store.cases(old.id)), _asked(planned), old.id)
    require_measurable(planned, whole)
    record = old or _new_record(chosen, command, capabilities)
    if old:
        record.machine = gone_on(record, fingerprint.fingerprint())
    else:
        store.create_run(record)
    record.state = "running"
    store.update_run(record)
    mine = share_of(planned, share) if share else planned
    return _Work(record, store, chosen, planned, mine, budget, listener)


def _asked(planned: Plan) -> list[Case]:
    """All cases of a plan, with what was refused."""
    return [*planned.cases, *(case for case, _, _ in planned.refused)]


def _suite(suite: Suite | str | Path) -> Suite:
    return suite if isinstance(suite, Suite) else load_suite(suite)


def _go(work: _Work, rerun: Rerun, wait: bool, whole: bool) -> None:
    """From a plan to its end."""
    record, store, mine = work.record, work.store, work.mine
    if rerun == "always":
        store.drop_blocks(record.id, [case.id for case in _asked(work.planned)])
    rows = _rows(work)
    store.add_cases(record.id, rows)
    refuse(work.planned.refused, store, record.id)
    if not mine.cases:
        work.listener("note", {"text": "this share holds no group: there are more shares than groups"})
        return
    with _timed(record, "prepare"):
        prepared = prepare(mine.cases, work.listener, work.suite.limits.prepare)
    rows = [
        _case_record(one.case, one.baseline, prepared[one.case.id]) if one.case.id in prepared else one
        for one in rows
    ]
    store.add_cases(record.id, rows)
    store.update_run(record)
    refuse_unprepared(mine.cases, prepared, store, record.id)
    if not any(block.status in MEASURED for block in _asked_blocks(store, record.id)):
        require_prepared(mine.cases, prepared, whole)
    course = Course(mine.cases, mine.baselines, mine.profile, work.suite.relevant / 100)
    ahead = outlook(course, store, record, work.suite.budget, {one.case.id: one.cost for one in rows})
    work.listener("outlook", {"text": ahead.sentence, "seconds": ahead.seconds, "width": ahead.width})
    _measure(work, course, prepared, rerun, wait)


def _rows(work: _Work) -> list[CaseRecord]:
    """Of all that is asked for; as an earlier share, or the run before a resumption, has left them."""
    baselines = {case_id for case_id in work.planned.baselines.values() if case_id}
    seen = {one.case.id: one for one in work.store.cases(work.record.id)}
    return [
        seen.get(case.id) or _case_record(case, case.id in baselines, None) for case in _asked(work.planned)
    ]


def _measure(work: _Work, course: Course, prepared: Mapping[str, Prepared], rerun: Rerun, wait: bool) -> None:
    """Under the machine's measurement lock; what is to be said of it is noted in the run."""
    record, suite, budget = work.record, work.suite, work.budget
    setting = Setting(
        run_id=record.id,
        profile=course.profile,
        limits=Limits(suite.limits.load, suite.limits.warmup, suite.limits.burst),
        budget=budget,
        memory_bytes=suite.limits.memory or int(budget.memory_bytes * 0.8),
    )
    with (
        measurement_lock(wait, lambda text: work.listener("wait", {"text": text})),
        _timed(record, "measure"),
        watching(course.cases, budget.cpus) as watch,
    ):
        record.machine = with_ceilings(record.machine, course.cases)
        work.store.update_run(record)
        note = measure(
            course,
            prepared,
            work.store,
            replace(setting, watch=watch),
            rerun=rerun,
            listener=work.listener,
            budget_s=suite.budget,
        )
        record.notes = [text for text in (note, watch.lost if watch else "") if text]


def _note_the_rest(work: _Work) -> None:
    """A run of which other shares are left is not finished."""
    record, store = work.record, work.store
    left = lacking(work.planned, {block.case_id for block in store.blocks(record.id)})
    if left:
        record.state = "interrupted"
        record.notes.append(f"{left} of {len(work.planned.cases)} cases are left to other shares of the run")
        store.update_run(record)


def _asked_blocks(store: Store, run_id: str) -> list[Block]:
    """All blocks of a run but those of the harness's own cases."""
    asked = {one.case.id for one in store.cases(run_id) if one.case.workload != HARNESS}
    return [block for block in store.blocks(run_id) if block.case_id in asked]


def _case_record(case: Case, baseline: bool, ready: Prepared | None) -> CaseRecord:
    from bench.plugins.workload_registry import door, get

    if case.workload == HARNESS:
        return CaseRecord(case, baseline, "call")
    record = CaseRecord(case, baseline, get(case.workload).unit)
    record.origin = {"door": door(case.workload), "digest": case.content}
    if ready is not None:
        record.reference = dict(ready.compared)
        record.cost = asdict(ready.cost) if ready.cost else {}
        record.band = asdict(ready.band) if ready.band else {}
        if ready.model:
            record.model = {
                "format": ready.model.format,
                "sha256": ready.model.sha256,
                "lineage": list(ready.model.lineage),
            }
    return record


def _new_record(
    suite: Suite, command: Sequence[str], capabilities: Mapping[str, Capabilities | BakeoffError]
) -> RunRecord:
    versions = {"bakeoff": own_version(), "python": platform.python_version()}
    versions |= {name: c.version for name, c in capabilities.items() if isinstance(c, Capabilities)}
    return RunRecord(
        id=time.strftime("%Y%m%d-%H%M%S"),
        name=suite.name,
        state="running",
        started=now(),
        suite=suite.to_dict(),
        machine=fingerprint.fingerprint(),
        versions=versions,
        command=list(command),
        relevant=suite.relevant / 100,
    )


def own_version() -> str:
    """Of the installed distribution."""
    try:
        return version("bakeoff")
    except PackageNotFoundError:
        return "not installed"


@contextmanager
def _closing(record: RunRecord, store: Store, heard: Heard) -> Iterator[None]:
    """Marks how the run ended; a kill leaves it `running`, which resumes just as well."""
    try:
        yield
    except BaseException:
        record.state, record.finished = "interrupted", now()
        record.notes = heard.onto(record.notes)
        store.update_run(record)
        raise
    record.state, record.finished = "finished", now()
    store.update_run(record)


@contextmanager
def _timed(record: RunRecord, phase: str) -> Iterator[None]:
    start = time.monotonic()
    try:
        yield
    finally:
        record.seconds[phase] = record.seconds.get(phase, 0.0) + time.monotonic() - start
