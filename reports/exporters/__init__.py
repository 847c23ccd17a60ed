"""Results as files for other programs: one file here per format, found by scanning this folder.

An exporter is a module whose `write(results, path, *, samples=False)` writes one file: a row per case, or a
row per sample. Adding a format is adding its file.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench.interfaces.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from bench.compare.results import Results


def formats() -> list[str]:
    """Names of the formats, sorted."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))


def export(format: str, results: Results, path: Path, *, samples: bool = False) -> Path:
    """Writes the results to one file, whole or not at all; returns its path.

    Args:
        format: one of `formats()`.
        samples: a row per sample (`reports.tables.frame.SAMPLE_COLUMNS`) instead of one per case (`COLUMNS`).

    Raises:
        UsageError: no such format.
        BakeoffError: the place cannot be written, or what the format needs is not installed.
    """
    if format not in formats():
        raise UsageError(f"no export format {format!r}", hint=did_you_mean(format, formats()))
    write = importlib.import_module(f"{__name__}.{format}").write
    written: Path = write(results, path, samples=samples)
    return written


def table(results: Results, samples: bool) -> tuple[pd.DataFrame, dict[str, str]]:
    """The frame to write and the meaning of its columns. Names and paths of the machine are taken out."""
    import numpy as np

    from reports.html.scrub import names_in, scrub
    from reports.tables.columns import SPEC
    from reports.tables.frame import COLUMNS, SAMPLE_COLUMNS, frame, samples_frame

    if samples:
        return samples_frame(results), dict(SAMPLE_COLUMNS)
    found, private = frame(results), names_in(results.run.machine)
    for column in (one.name for one in SPEC if one.dtype == "str"):  # every text: none can be forgotten
        clean = found[column].map(lambda text: scrub(text, private), na_action="ignore")
        found[column] = clean.astype(found[column].dtype)
    for column in (one.name for one in SPEC if one.dtype == "float64"):  # `not_finite` says what stood there
        found[column] = found[column].where(np.isfinite(found[column]))
    return found, dict(COLUMNS)
