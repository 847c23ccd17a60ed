"""The parent's side of a converter: starts its process, bounds it, and takes what it made into the cache."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cache import artefacts
from bench.environments.locate import mend
from bench.files import paths
from bench.interfaces.converter import RESULT, Converter
from bench.interfaces.errors import BackendUnavailable, PrepareError, UnsupportedCase
from bench.interfaces.plain import as_dict
from bench.processes import resources
from bench.processes.process import Process
from bench.text.numbers import file_size

JOB = "job.json"
LOG_LINES = 12
LINE = 400  # characters of each
FREE_MEMORY = "free memory (end other programs, raise the container's limit), or take a smaller batch"
# Idle threads of one converter must not spin on the cores of the other.
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}


class OutOfMemory(PrepareError):
    """A converter needed more than it may take, or more than the machine had."""


class Making:
    """An artefact in the making. Raises PrepareError where the cache cannot be written.

    Args:
        about: stands in its manifest, with the time and the memory that it took.
        memory_bytes: what its process may take.
        limit_s: after which it is ended.
        python: the interpreter of the environment that it is made in.
        variables: set for its process besides the parent's.
    """

    def __init__(
        self,
        converter: Converter,
        key: str,
        lineage: tuple[Mapping[str, Any], ...],
        job: Mapping[str, Any],
        about: Mapping[str, Any],
        *,
        memory_bytes: int,
        limit_s: float,
        python: Path,
        variables: Mapping[str, str],
    ) -> None:
        self.converter = converter
        self.started = time.monotonic()
        self._bound = file_size(memory_bytes)
        self._lineage, self._about = lineage, about
        self._limit_s = limit_s
        self._draft = artefacts.Draft(converter.kind, key)
        try:
            folder = self._draft.folder
            whole = {"kind": converter.kind, "output": folder / converter.file, **job}
            message = {"parent_pid": os.getpid(), "memory_bytes": memory_bytes, "job": as_dict(whole)}
            with paths.writing():
                (folder / JOB).write_text(json.dumps(message))
            arguments = ["-m", "bench.prepare", str(folder / JOB)]
            environment = {**variables, **ENVIRONMENT}
            self._process = Process(arguments, interpreter=python, environment=environment, mend=mend(python))
        except BaseException:
            self._draft.discard()
            raise

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def running(self) -> bool:
        """False when it has ended, or has been ended for taking too long."""
        return self._process.alive and self.seconds < self._limit_s

    def result(self) -> artefacts.Artefact:
        """The artefact, in the cache. Raises PrepareError with the reason and the end of the log; OutOfMemory
        where its process went over its bound."""
        try:
            overdue, seconds = self._process.alive, self.seconds
            log = self._process.end()
            result = self._answer(overdue, log)
            facts = dict(result["facts"])
            about = {**self._about, "seconds": round(seconds, 3), "peak_bytes": result["peak_bytes"]}
            step = {**dict(self._lineage[0]), **facts.pop("lineage", {})}
            made = self._draft.files() - {JOB, RESULT, artefacts.LOCK}
            if self.converter.file not in made:
                raise PrepareError(f"its converter ended well but wrote no {self.converter.file}")
            lineage = (step, *self._lineage[1:])
            return self._draft.commit(self.converter.file, facts, lineage, sorted(made), about)
        finally:
            self._draft.discard()

    def kill(self) -> None:
        """Ends it; nothing is left."""
        self._process.end()
        self._draft.discard()

    def _answer(self, overdue: bool, log: str) -> dict[str, Any]:
        lines = [line for line in log.splitlines() if line.strip()][-LOG_LINES:]
        end = "".join(f"\n    {line[:LINE]}" for line in lines)
        if overdue:
            raise PrepareError(
                f"took over {self._limit_s:g} s and was ended{end}",
                hint="a suite with more time: limits: {prepare: 2h}",
            )
        result = _read(self._draft.folder / RESULT)
        if result is None:
            code = self._process.popen.returncode
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            if resources.speaks_of_memory(log):
                raise OutOfMemory(f"{self._over()} (its process {how}){end}", hint=FREE_MEMORY)
            if code == -signal.SIGKILL:
                why = "as the kernel does when memory runs out"
                raise OutOfMemory(
                    f"its process {how}, {why}; its own bound is {self._bound}", hint=FREE_MEMORY
                )
            raise PrepareError(f"its process {how} without a result{end}")
        if result.get("unsupported"):
            raise UnsupportedCase(result["error"], hint=result["hint"])
        if result.get("missing"):
            raise BackendUnavailable(result["error"], hint=result["hint"])
        if result.get("out_of_memory"):
            raise OutOfMemory(f"{self._over()} ({result['error']}){end}", hint=FREE_MEMORY)
        if "error" in result:
            raise PrepareError(f"{result['error']}{end}", hint=result["hint"])
        return result

    def _over(self) -> str:
        return f"out of memory: it needs more than the {self._bound} that it may take here"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
