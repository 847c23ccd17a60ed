"""One kernel of TVM's, compiled, timed and compared in this process; MetaSchedule's search for a better one.

TVM's LocalBuilder and LocalRunner are not used: each of their processes imports `tvm.s_tir.tensor_intrin`
first, which here takes longer than the 30 s that a build is given. In this process a candidate costs 0.2 to
0.5 s. A candidate that crashes ends the build, and its case with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.tvm import space
from bench.interfaces.tensors import Array

if TYPE_CHECKING:
    import tvm

ROUND = 8  # candidates between two steps of the search
LOOK_S = 0.015  # for which a kernel is timed, at least once
TOLERANCE = 1e-4  # of an output's largest value; sums in another order stay a hundred times below it


@dataclass(frozen=True)
class Search:
    """What was tried for a task.

    Attributes:
        best: the quickest candidate's function; None where none ran.
        tried: candidates that were to be compiled and timed.
        failed: those of them that could not be.
    """

    best: tvm.tirx.PrimFunc | None
    tried: int
    failed: int

    def told(self) -> dict[str, int]:
        return {"tried": self.tried, "failed": self.failed}


def alone(function: tvm.tirx.PrimFunc) -> tvm.IRModule:
    """The function as a module's `main`."""
    import tvm

    return tvm.IRModule({"main": function.with_attr("global_symbol", "main")})


def compiled(module: tvm.IRModule, machine: tvm.target.Target) -> Any:
    """A module's `main`, to be called with tensors."""
    import tvm

    return tvm.compile(module, machine).jit()["main"]


def values(function: tvm.tirx.PrimFunc) -> list[Array]:
    """Random arguments: floats of a normal distribution, ones for the rest (an index, an open mask). Outputs
    are among them, and have to be overwritten."""
    chance = np.random.default_rng(0)
    found = []
    for parameter in function.params:
        shape, dtype = [int(extent) for extent in parameter.shape], str(parameter.dtype)
        random = chance.standard_normal(shape) if "float" in dtype else np.ones(shape)
        found.append(random.astype(dtype))
    return found


def tensors(arrays: Sequence[Array]) -> list[Any]:
    import tvm

    return [tvm.runtime.tensor(array) for array in arrays]


def agrees(kernel: Any, other: Any, arrays: Sequence[Array]) -> bool:
    """Whether both leave the same in all their arguments."""
    left, right = tensors(arrays), tensors(arrays)
    kernel(*left)
    other(*right)
    return all(
        np.allclose(mine, its, rtol=0, atol=TOLERANCE * np.nanmax(np.abs(its), initial=0), equal_nan=True)
        for mine, its in ((a.numpy(), b.numpy()) for a, b in zip(left, right, strict=True))
    )


def seconds(kernel: Any, arguments: Sequence[Any], look_s: float = LOOK_S) -> float:
    """Of a call: the least mean of three thirds of the time for which it is looked at. A first call is not
    timed; a slow kernel is called but once more."""
    kernel(*arguments)
    start = time.perf_counter()
    kernel(*arguments)
    once = time.perf_counter() - start
    if once >= look_s:
        return once
    calls = max(1, round(look_s / 3 / max(once, 1e-7)))
    means = [once]
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(calls):
            kernel(*arguments)
        means.append((time.perf_counter() - start) / calls)
    return min(means)


def search(
    function: tvm.tirx.PrimFunc,
    name: str,
    machine: tvm.target.Target,
    vectors: tuple[int, int],
    trials: int,
    until: float,
    database: Any,
) -> Search:
    """MetaSchedule's evolutionary search.

    Args:
        function: not yet scheduled.
        vectors: floats of a vector register, and how many registers there are.
        trials: how many candidates are compiled and timed at most.
        until: on time.monotonic(); a step that has begun is still ended.
        database: MetaSchedule's; gets the workload and what was timed.
    """
    module = alone(function)
    timings = _Timings(database, database.commit_workload(module), machine, tensors(values(function)), until)
    context, spaces, model = _context(module, name, machine, vectors)
    context.pre_tuning(trials, ROUND, spaces, database, model)
    while time.monotonic() < until and (candidates := context.generate_measure_candidates()):
        context.notify_runner_results(candidates, [timings.result(candidate) for candidate in candidates])
    context.post_tuning()
    return Search(timings.best, timings.tried, timings.failed)


@dataclass
class _Timings:
    """Candidates as they are compiled and timed, until the time is over; those that run go to the database.

    Attributes:
        workload: the database's entry for the kernel.
        until: on time.monotonic().
        best: the quickest candidate's function, which took `least` seconds.
    """

    database: Any
    workload: Any
    machine: tvm.target.Target
    arguments: Sequence[Any]
    until: float
    best: tvm.tirx.PrimFunc | None = None
    least: float = float("inf")
    tried: int = 0
    failed: int = 0

    def result(self, candidate: Any) -> Any:
        """MetaSchedule's RunnerResult: its seconds, or why there are none."""
        from tvm.s_tir import meta_schedule as ms

        if time.monotonic() >= self.until:
            return ms.runner.RunnerResult(None, "no time left")
        self.tried += 1
        try:
            taken = seconds(compiled(candidate.sch.mod, self.machine), self.arguments)
        except Exception as error:  # of many kinds: LLVM or TVM does not take the candidate
            self.failed += 1
            return ms.runner.RunnerResult(None, str(error))
        record = (candidate.sch.trace, self.workload, [taken], self.machine, candidate.args_info)
        self.database.commit_tuning_record(ms.database.TuningRecord(*record))
        if taken < self.least:
            self.best, self.least = candidate.sch.mod["main"], taken
        return ms.runner.RunnerResult([taken], None)


def _context(
    module: tvm.IRModule, name: str, machine: tvm.target.Target, vectors: tuple[int, int]
) -> tuple[Any, Any, Any]:
    """The search's context, where it looks, and what guides it."""
    from tvm.s_tir import meta_schedule as ms

    def made(generator: Any) -> tuple[Any, Any]:
        # Few and small generations: a candidate's timing says more than another hundred of them unseen.
        strategy = ms.search_strategy.EvolutionarySearch(
            population_size=32, init_measured_ratio=0.3, init_min_unmeasured=ROUND, genetic_num_iters=2
        )
        context = ms.TuneContext(
            module,
            target=machine,
            space_generator=generator,
            search_strategy=strategy,
            task_name=name,
            rand_state=1,
            num_threads=int(machine.attrs["num-cores"]),
        )
        return context, context.generate_design_space()

    context, spaces = made(space.space(*vectors))
    if spaces:
        return context, spaces, space.guide(vectors[1])
    return *made(ms.space_generator.PostOrderApply()), ms.cost_model.RandomModel()
