"""Whose fault a failure is: the runtime's own refusal, the model file's damage, or the surroundings' (a C++
compiler, a linker, a file system, a device, memory). Standard library alone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from bench.interfaces.errors import BakeoffError, ModelFileError, PrepareError, UnsupportedCase
from bench.interfaces.tensors import ModelFile
from bench.plugins.runtimes import first_line
from bench.processes.resources import speaks_of_memory

# Exceptions that no runtime raises about a model; by name where importing the runtime would be needed.
KINDS = (subprocess.SubprocessError, ImportError)
NAMES = {"CppCompileError", "CUDACompileError", "InvalidCxxCompiler", "TritonMissing"}
NUMBERS = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.ENFILE),
    *(errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ENODEV, errno.ETXTBSY, errno.ENOEXEC, errno.EAGAIN),
)
SPOKEN = re.compile(
    "|".join([*(re.escape(os.strerror(number)) for number in NUMBERS), "failed to map segment"])
    + r"|cannot open shared object|command not found|ld returned \d|cannot find -l|g\+\+: |clang[+\d.-]*: "
    r"|cuda[ _]?error|no working c\+\+ compiler",
    re.IGNORECASE,
)
NO_EXECUTION = re.compile("failed to map segment|permission denied|operation not permitted", re.IGNORECASE)
NO_COMPILER = re.compile(r"no working c\+\+ compiler|command not found", re.IGNORECASE)
SAYS = re.compile(r"\b(fatal error|error|cannot|undefined reference|failed)\b", re.IGNORECASE)
AGAIN = "delete it and run again: model files are made anew"
Kinds = type[Exception] | tuple[type[Exception], ...]
MANIFEST = "manifest.json"  # of a folder of the cache, with the checksums of its files


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first; compilers wrap what went wrong."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "inner_exception", None) or error.__cause__


def of_surroundings(error: BaseException) -> str:
    """'' for what a runtime says of a model; else what a compiler, a linker, a file system or a device said,
    in a line."""
    for one in chain(error):
        system = isinstance(one, OSError) and one.errno is not None  # without one it is a reader's own
        if system or isinstance(one, KINDS) or type(one).__name__ in NAMES or SPOKEN.search(str(one)):
            return _telling_line(one)
    return ""


def mend(said: str) -> str:
    """What to do about it: one of three sentences."""
    if NO_COMPILER.search(said):
        return "install a C++ compiler (apt install g++), or name one: export CXX=PATH"
    if NO_EXECUTION.search(said):
        return (
            "code must run from the cache's folder and the temporary one (no noexec mount): "
            "export BAKEOFF_CACHE=FOLDER, export TMPDIR=FOLDER"
        )
    return "bakeoff doctor"


@contextmanager
def refusals(what: str, hint: str, kinds: Kinds = Exception) -> Iterator[None]:
    """Turns exceptions of these kinds, a runtime's refusals, into UnsupportedCase: `what`, and its words.

    An error of the surroundings is none of the runtime's: it becomes a PrepareError with what the compiler,
    linker or file system said, and is printed whole for the log. Want of memory, and errors of other kinds
    (a defect of ours), stay as they are.
    """
    try:
        yield
    except (BakeoffError, MemoryError):
        raise
    except Exception as error:
        if any(isinstance(one, MemoryError) for one in chain(error)) or speaks_of_memory(str(error)):
            raise
        if said := of_surroundings(error):
            traceback.print_exc()
            print(*filter(None, map(_output, chain(error))), sep="\n", file=sys.stderr, flush=True)
            raise PrepareError(f"{what}: {said}", hint=mend(said)) from error
        if not isinstance(error, kinds):
            raise
        raise UnsupportedCase(f"{what}: {first_line(error)}", hint=hint) from error


def broken(model: ModelFile, error: BaseException) -> BakeoffError:
    """The error for a model file that its runtime does not load. The file is blamed unless it is as it was
    made, or it is there and the surroundings are at fault."""
    if not model.path.is_file():
        return unfit(model, "it is not there")
    said = of_surroundings(error)
    lacks = f"{model.path.parent}{os.sep}" in str(error) and os.strerror(errno.ENOENT) in str(error)
    if lacks or (not said and not _whole(model)):
        return unfit(model, first_line(error))
    why = said or f"{first_line(error)}; the file is as it was made"
    return PrepareError(f"{model.path}: does not load as {model.format}: {why}", hint=mend(why))


def unfit(model: ModelFile, why: str) -> ModelFileError:
    """The error for a model file that is not what a case needs, as looking into it has shown."""
    return ModelFileError(f"{model.path}: cannot be loaded as {model.format} ({why})", hint=AGAIN)


def _whole(model: ModelFile) -> bool:
    """Whether the file is known to be as it was made: by its own checksum, or its folder's manifest."""
    known = {model.sha256}
    try:
        manifest = json.loads((model.path.parent / MANIFEST).read_text())
        known.add(manifest["files"][model.path.name]["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not in the cache
    try:
        with model.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() in known
    except OSError:
        return False


def _output(error: BaseException) -> str:
    """What a compiler printed, of an exception that keeps it."""
    found = (getattr(error, name, None) or "" for name in ("output", "stderr"))
    texts = (text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in found)
    return "\n".join(filter(None, texts))


def _telling_line(error: BaseException) -> str:
    """An exception's kind and, of a compiler, the line of its output that says what is wrong."""
    lines = [line.strip() for line in _output(error).splitlines() if line.strip()]
    telling = next((line for line in lines if SAYS.search(line)), lines[-1] if lines else "")
    head = first_line(error)
    return f"{head[:300]}: {telling[:300]}" if telling and telling not in head else head[:600]
