"""Checkpoints that a person hands in, judged before anything is made of them: without torch, without running
code of theirs, in bounded memory. What is taken and what is refused: docs/weights.md.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from bench.interfaces.case import Case
from bench.interfaces.errors import UsageError
from bench.plugins import workload_registry
from bench.prepare.checkpoints import tables as states
from bench.prepare.checkpoints.fitting import Reading, candidates, fit
from bench.prepare.checkpoints.looking import Files, Stamp, files, look, stamp
from bench.prepare.checkpoints.tree import Tensor

__all__ = ["Files", "check", "files", "require_unchanged"]


def check(workload: str, path: str) -> Reading | None:
    """How a checkpoint is read as a workload's; None where the workload brings no table of its tensors, and
    its converter judges.

    Raises:
        ModelFileError: it is no checkpoint, or not the workload's.
        UsageError: no workload is named so.
    """
    return _check(workload, path, stamp(files(Path(path))))


@functools.lru_cache(maxsize=64)
def _check(workload: str, path: str, _stamp: Stamp) -> Reading | None:
    tree = look(Path(path))
    expected = _expected(workload)
    if expected is None:
        list(candidates(tree, path))
        return None
    others = {
        name: (table, workload_registry.get(name))
        for name in states.names()
        if name != workload and (table := _expected(name))
    }
    return fit(tree, expected, workload_registry.get(workload), path, others)


def _expected(workload: str) -> dict[str, Tensor] | None:
    table = states.of(workload_registry.get(workload).weights_of or workload)
    return {key: Tensor(dtype, tuple(shape)) for key, (dtype, *shape) in table.items()} if table else None


def require_unchanged(before: Iterable[Case], now: Iterable[Case], run: str) -> None:
    """Raises UsageError where a checkpoint is no longer the one that a run was planned with: its rows would
    be of two models."""
    planned = {(case.workload, case.weights): case.content for case in before if case.weights}
    for case in now:
        if planned.get((case.workload, case.weights), case.content) != case.content:
            raise UsageError(
                f"{case.weights} has changed since run {run} was planned with it",
                hint="put the file back, or start another run without --resume",
            )
