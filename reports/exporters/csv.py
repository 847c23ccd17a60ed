"""CSV: UTF-8, a header, an empty field where nothing is known."""

from __future__ import annotations

from pathlib import Path

from bench.compare.results import Results
from bench.files.whole import write_whole
from reports.exporters import table


def write(results: Results, path: Path, *, samples: bool = False) -> Path:
    frame, _ = table(results, samples)
    return write_whole(path, frame.to_csv(index=False, lineterminator="\n").encode(errors="backslashreplace"))
