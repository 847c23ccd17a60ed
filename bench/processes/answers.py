"""Answers of child processes as JSON behind a mark: what else is printed, by a `sitecustomize`, a runtime or
on the way out, is not taken for the answer. Standard library alone: the worker side imports this module.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MARK = "bakeoff-answers:"
# Modules on the user's $PYTHONPATH are looked for last, as bench/__init__.py does in workers.
PRELUDE = (
    "import json, os, sys\n"
    "sys.path += filter(None, os.environ.get('BAKEOFF_LAST_PATH', '').split(os.pathsep))\n"
)


def say(answer: Any) -> None:
    """Prints an answer on a line of its own."""
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


def heard(text: str) -> Any:
    """The last answer in what a process printed, None where there is none that is whole."""
    _, mark, rest = text.rpartition(MARK)
    try:
        return json.JSONDecoder().raw_decode(rest)[0] if mark else None
    except ValueError:
        return None


def ask(
    python: Path, code: str, limit_s: float, variables: Mapping[str, str], flags: Sequence[str] = ("-P",)
) -> Any:
    """What `code` leaves in the variable `answer` under that interpreter.

    Raises:
        OSError, subprocess.SubprocessError, ValueError: it did not start, failed, hung, or gave no answer.
    """
    whole = f"{PRELUDE}{code}\nprint('\\n{MARK}' + json.dumps(answer), flush=True)"
    done = subprocess.run(
        [str(python), *flags, "-c", whole],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit_s,
        env=dict(variables),
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise ValueError(said[-1][:300])
    answer = heard(done.stdout)
    if answer is None:
        raise ValueError("it printed no answer")
    return answer
