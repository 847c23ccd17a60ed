"""Makes one artefact: reads a job file, runs its converter, writes `result.json` beside the job file."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from bench.interfaces.converter import RESULT
from bench.interfaces.errors import BackendUnavailable, BakeoffError, UnsupportedCase
from bench.plugins.converter_registry import converters
from bench.prepare.jobs import from_dict
from bench.processes import resources


def main(path: Path) -> int:
    message = json.loads(path.read_text())
    resources.die_with_parent(message["parent_pid"])
    resources.be_first_to_go()
    if message["memory_bytes"]:
        resources.limit_memory(message["memory_bytes"])
    job = from_dict(message["job"])
    try:
        result: dict[str, Any] = {"facts": dict(converters()[job.kind].make(job))}
    except BakeoffError as error:
        result = {
            "error": error.message,
            "hint": error.hint,
            "unsupported": isinstance(error, UnsupportedCase),
            "missing": isinstance(error, BackendUnavailable),
        }
    except Exception as error:
        traceback.print_exc()
        result = explain(error)
    result["peak_bytes"] = resources.peak_bytes()
    (path.parent / RESULT).write_text(json.dumps(result))
    return int("error" in result)


def explain(error: Exception) -> dict[str, Any]:
    """A sentence and, where there is one, the mend; whether it was for want of memory."""
    text = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    if isinstance(error, ImportError):
        return {"error": text, "hint": "pip install 'bakeoff[prepare]'"}
    if isinstance(error, MemoryError) or resources.speaks_of_memory(str(error)):
        return {"error": text, "hint": "", "out_of_memory": True}
    if "No space left" in str(error):
        return {"error": text, "hint": "free space, or choose another folder: export BAKEOFF_CACHE=FOLDER"}
    return {"error": text, "hint": ""}


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
