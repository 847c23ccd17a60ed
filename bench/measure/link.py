"""The parent's hold on one worker: send a command, wait for its answer, and say how it died if it did."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.environments.locate import mend
from bench.interfaces.block import Status
from bench.interfaces.job import Job
from bench.processes.process import Process
from bench.processes.resources import speaks_of_memory
from bench.processes.wire import Wire

BLOBS = 3  # of a burst: samples at the host and the device boundary, and the device's own times
# Which of the suite's limits bounds a command; all others fall under `load`.
_LIMIT_OF = {"warm": "warmup", "burst": "burst"}


class Failure(Exception):
    """How a case ended early: status and reason for its block, and a traceback from within the worker."""

    def __init__(self, status: Status, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason
        self.trace = trace


class Link:
    """A live worker. `end()` must be called, whatever happened.

    Args:
        job: what it measures; `spawned_ns` is set here.
        environment: variables the backend needs before the process starts.
        interpreter: of the backend's environment; this one if None.
        module: what is run; another than the worker's has to answer the same commands.
    """

    def __init__(
        self,
        job: Job,
        *,
        environment: Mapping[str, str] | None = None,
        interpreter: Path | None = None,
        module: str = "bench.worker",
    ) -> None:
        self.case = job.case
        self._mend = mend(interpreter) if interpreter else ""
        ours, theirs = socket.socketpair()
        try:
            spawned_ns = time.monotonic_ns()
            self.process = Process(
                ["-m", module, "--serve", str(theirs.fileno()), str(os.getpid())],
                interpreter=interpreter,
                environment=dict(environment or {}),
                pass_fds=(theirs.fileno(),),
                mend=self._mend,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.job = replace(job, spawned_ns=spawned_ns)
        self._wire = Wire(ours.detach())
        self._log: str | None = None

    def ask(self, command: str, limit_s: float, **arguments: Any) -> dict[str, Any]:
        """Sends a command and returns the answer; samples of a burst come as `blobs`.

        Raises:
            Failure: the worker refused, died, or took longer than `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        try:
            self._wire.send({"do": command, **arguments})
            self._await(command, limit_s, deadline)
            reply = self._wire.receive()
            if command == "burst" and reply.get("ok"):
                reply["blobs"] = []
                for _ in range(BLOBS):
                    self._await(command, limit_s, deadline)
                    reply["blobs"].append(self._wire.receive_blob())
        except (EOFError, OSError) as error:
            raise self._death(command) from error
        except ValueError as error:
            raise Failure("failed", f"the worker answered {command} with something else: {error}") from error
        if "error" in reply:
            refusal = reply["error"]
            hint = f" ({refusal['hint']})" if refusal["hint"] else ""
            raise Failure(refusal["status"], f"{command}: {refusal['message']}{hint}", refusal["trace"])
        return reply

    def _await(self, command: str, limit_s: float, deadline: float) -> None:
        """Waits for the connection or the worker's end, whichever comes first."""
        # A child of the worker may hold the socket open, so the process itself is watched as well.
        watched = select.poll()
        watched.register(self._wire, select.POLLIN)
        descriptor = _pidfd(self.process.pid)
        if descriptor is not None:
            watched.register(descriptor, select.POLLIN)
        try:
            ready = _ready(watched, deadline)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        if not ready:
            limit = _LIMIT_OF.get(command, "load")
            reason = f"{command} took over {limit_s:g} s (the suite's `limits: {{{limit}: …}}`)"
            raise Failure("timeout", reason)
        if self._wire.fileno() not in [fd for fd, _ in ready]:
            raise self._death(command)

    def _death(self, command: str) -> Failure:
        code = self._exit_code()
        log = self.end()
        if code is None:
            return Failure("crashed", f"the worker closed its connection during {command}")
        if speaks_of_memory(log[-4000:]):
            return Failure("out-of-memory", f"{_how(code)} during {command}, out of memory")
        if code == -signal.SIGKILL:
            # Not by us: we end a worker only after the last command. The kernel's OOM killer looks the same.
            return Failure("crashed", f"killed (SIGKILL) during {command}: by a person, or out of memory")
        if command == "start" and self._mend:  # no runtime is loaded by then
            return Failure("missing", f"its environment does not start: {_how(code)} ({self._mend})", log)
        return Failure("crashed", f"{_how(code)} during {command}")

    def _exit_code(self) -> int | None:
        try:
            return self.process.popen.wait(timeout=1.0)
        except Exception:
            return None

    def stop(self) -> None:
        self.process.stop()

    def resume(self) -> None:
        self.process.resume()

    def end(self) -> str:
        """Ends the worker and all it started; returns the end of its log. Safe to call twice."""
        if self._log is None:
            self._wire.close()
            self._log = self.process.end()
        return self._log


def _ready(watched: select.poll, deadline: float) -> list[tuple[int, int]]:
    """What is ready by the deadline, or once it has passed: who was stopped meanwhile (Ctrl-Z) finds the time
    gone and the answer there.
    """
    return watched.poll(max(0.0, deadline - time.monotonic()) * 1000) or watched.poll(0)


def _pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is none (macOS)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _how(code: int) -> str:
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exited with status {code} and no answer"
