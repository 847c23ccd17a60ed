"""Parquet: typed columns, each with its meaning in the field's metadata (`description`)."""

from __future__ import annotations

import io
from pathlib import Path

from bench.compare.results import Results
from bench.files.whole import write_whole
from bench.interfaces.errors import BackendUnavailable
from reports.exporters import table


def write(results: Results, path: Path, *, samples: bool = False) -> Path:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendUnavailable(
            f"parquet needs pyarrow, which cannot be imported: {error}",
            hint="pip install 'bakeoff[parquet]'",
        ) from error

    frame, columns = table(results, samples)
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [field.with_metadata({"description": columns[field.name]}) for field in arrow.schema]
    buffer = io.BytesIO()
    pq.write_table(arrow.cast(pa.schema(fields, arrow.schema.metadata)), buffer)
    return write_whole(path, buffer.getvalue())
