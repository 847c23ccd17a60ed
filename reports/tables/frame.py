"""A run as tables: a row per case, or a row per sample. pandas only when a frame is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.compare.results import Results
from reports.tables.columns import COLUMNS, SPEC
from reports.tables.samples import SAMPLE_COLUMNS, samples_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "SAMPLE_COLUMNS", "frame", "records", "samples_frame"]


def frame(results: Results) -> pd.DataFrame:
    """One row per case in the order of the results; the columns are `COLUMNS`, units in their names."""
    import pandas as pd

    rows = results.rows
    data = {
        column.name: pd.Series([_whole(column.get(results, row)) for row in rows], dtype=column.dtype)
        for column in SPEC
    }
    return pd.DataFrame(data)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dicts of plain JSON-able values, None for what is missing."""
    return [
        {str(name): _json(value) for name, value in row.items()} for row in table.to_dict(orient="records")
    ]


def _whole(value: Any) -> Any:
    """A text without halves of characters, as which Python keeps the bytes of a file name that is no text."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    try:
        return value if math.isfinite(value) else None
    except TypeError:  # pandas.NA and NaT
        return None
