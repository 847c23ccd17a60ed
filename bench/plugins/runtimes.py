"""Importing the modules of a backend's runtime, or saying why they cannot be."""

from __future__ import annotations

import importlib
import os

from bench.interfaces.backend import Backend
from bench.interfaces.errors import (
    MEND,
    BackendUnavailable,
)
from bench.plugins.shadows import shadow


def import_runtime(backend: Backend) -> None:
    """Imports the runtime's modules. Raises BackendUnavailable with the command that mends it, also where a
    file that is none of the runtime's goes by its name."""
    for module in backend.runtime:
        if hidden := shadow(module):
            raise BackendUnavailable(
                f"{backend.name}: {hidden[0]} would be imported as {module}, and hides {hidden[1]}",
                hint=f"rename {hidden[0]}, or take its folder off Python's path (PYTHONPATH, *.pth)",
            )
        try:
            found = importlib.import_module(module)
            if getattr(found, "__path__", None) is not None and found.__file__ is None:
                raise ImportError(f"{', '.join(found.__path__)} is a folder without a package")
        except (ImportError, OSError) as error:
            raise BackendUnavailable(
                f"{backend.name}: {module} cannot be imported ({first_line(error)})",
                hint=os.environ.get(MEND) or backend.install,
            ) from error


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    said = [line for line in lines if line and not line.startswith("Exception from ")]
    return said[0] if said else type(error).__name__
