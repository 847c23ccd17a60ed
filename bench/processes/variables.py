"""The variables that child processes get. What a person set for the Python at hand is no child's concern: a
file on $PYTHONPATH must not stand in for a runtime, nor `-O` or `-W error` change what is measured.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LAST_PATH = "BAKEOFF_LAST_PATH"  # the user's $PYTHONPATH, which `bench/__init__.py` appends to sys.path
# They change what a child computes, how fast, or what it prints; or fail it for a warning.
MEDDLING = (
    "PYTHONASYNCIODEBUG",
    "PYTHONCASEOK",
    "PYTHONDEBUG",
    "PYTHONDEVMODE",
    "PYTHONDUMPREFS",
    "PYTHONINSPECT",
    "PYTHONMALLOC",
    "PYTHONOPTIMIZE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONSTARTUP",
    "PYTHONTRACEMALLOC",
    "PYTHONVERBOSE",
    "PYTHONWARNINGS",
)
HOMES = ("PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")  # of one interpreter


def is_own(interpreter: Path | None) -> bool:
    """Whether a child runs under the interpreter of this process."""
    return interpreter is None or interpreter == Path(sys.executable)


def child_variables(interpreter: Path | None, path: str) -> dict[str, str]:
    """This process's variables for a child of that interpreter, its own packages found in `path` first.

    The user's $PYTHONPATH goes last, behind installed packages, and to our own interpreter's children alone:
    plug-ins are found there.
    """
    own = is_own(interpreter)
    dropped = MEDDLING if own else (*MEDDLING, *HOMES)
    variables = {name: value for name, value in os.environ.items() if name not in dropped}
    last = [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if entry] if own else []
    variables["PYTHONPATH"] = path
    variables[LAST_PATH] = os.pathsep.join(entry for entry in last if entry != path)
    return variables
