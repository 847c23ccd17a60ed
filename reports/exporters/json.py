"""JSON: the run's facts, what the linter found, the meaning of the columns, and the rows.

null where nothing is known.
"""

from __future__ import annotations

from pathlib import Path

from bench.compare.results import Results
from bench.files.whole import write_whole
from bench.text import strict_json
from reports.exporters import table
from reports.html.scrub import names_in, scrub
from reports.tables.frame import records

VERSION = 1  # of this layout


def write(results: Results, path: Path, *, samples: bool = False) -> Path:
    return write_whole(path, (text(results, samples=samples) + "\n").encode())


def text(results: Results, *, samples: bool = False, encoding: str | None = "utf-8") -> str:
    """The document on one line, for a file or stream of that encoding."""
    frame, columns = table(results, samples)
    run = results.run
    facts = {key: getattr(run, key) for key in ("id", "name", "state", "started", "finished")}
    document = {
        "bakeoff": VERSION,
        "run": {**facts, "versions": run.versions, "relevant": run.relevant},
        "findings": _findings(results),
        "columns": columns,
        "rows": records(frame),
    }
    return strict_json.dumps(document, encoding=encoding)


def _findings(results: Results) -> list[dict[str, object]]:
    private = names_in(results.run.machine)
    return [
        {
            "rule": one.rule,
            "kind": one.kind,
            "case_ids": one.case_ids,
            "text": scrub(one.text, private),
            "look": scrub(one.look, private),
        }
        for one in results.findings
    ]
