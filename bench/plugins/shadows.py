"""Files that hide an installed package: Python takes the first of a name that lies on its path. Standard
library alone: the worker side imports this module.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

OURS = ("bench", "backends", "workloads", "reports", "benchmarks", "tests")  # the doctor looks at these
SUFFIXES = (".so", ".py", ".pyc")


def shadow(module: str, path: Sequence[str] | None = None) -> tuple[Path, Path] | None:
    """(the file that is imported under that name, the one that it hides); None where nothing is hidden, or
    where the first belongs to an installed distribution or to Python itself."""
    name = module.partition(".")[0]
    if name in OURS or name in sys.builtin_module_names:
        return None
    entries = dict.fromkeys(Path(os.path.normpath(entry)) for entry in (sys.path if path is None else path))
    found = [(entry, file) for entry in entries if (file := _file(entry, name))]
    if len(found) < 2 or _installed(found[0][0], name):
        return None
    return found[0][1], found[1][1]


def blamed(error: BaseException) -> tuple[Path, Path] | None:
    """As `shadow`, of a module whose file an exception came through, or that lacks what was wanted of it."""
    lacks = isinstance(error, ImportError | AttributeError)
    known = {name for name in sys.modules if "." not in name}
    files = {str(frame) for frame in _files(error)}
    named = {name for name in (getattr(error, "name", None),) if isinstance(name, str)}
    parts = {part for file in map(Path, files) for part in (file.stem, file.parent.name)}
    for name in sorted(known | named | parts):
        if (hidden := shadow(name)) is None:
            continue
        module = sys.modules.get(name)
        folder = str(hidden[0].parent if hidden[0].stem == "__init__" else hidden[0])
        through = any(file.startswith(folder) for file in files)
        if through or name in named or (lacks and getattr(module, "__file__", None) == str(hidden[0])):
            return hidden
    return None


def _files(error: BaseException) -> Iterator[str]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        yield error.filename


def _file(entry: Path, name: str) -> Path | None:
    """What Python would take of that name in that folder, a folder without `__init__` left out."""
    with suppress(OSError):
        if (package := entry / name / "__init__.py").is_file():
            return package
        files = (file for file in entry.glob(f"{name}.*") if file.suffix in SUFFIXES and file.is_file())
        return min(files, default=None)
    return None


def _installed(entry: Path, name: str) -> bool:
    """Whether a distribution in that folder brings the module, or the folder is Python's own."""
    if entry in {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}:
        return True
    if entry.name in ("lib-dynload",) or entry.suffix == ".zip":
        return True
    for listed in entry.glob("*.egg-info/top_level.txt"):  # a system's packages
        with suppress(OSError):
            if name in listed.read_text(errors="replace").split():
                return True
    starts = (f"{name}/", f"{name}.")
    for record in entry.glob("*.dist-info/RECORD"):
        with suppress(OSError), record.open(errors="replace") as lines:
            if any(line.startswith(starts) for line in lines):
                return True
    return False
