"""What each workload's module holds: names, dtypes and shapes of its state. A checkpoint can so be judged
where there is no PyTorch. `python -m tools.workload_states` writes the table anew; a test holds it to the
modules.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("states.json")
Facts = list[Any]  # dtype, then the shape


@functools.cache
def tables() -> Mapping[str, Mapping[str, Facts]]:
    """Workload → key → [dtype, *shape]; of workloads that share weights the one whose they are."""
    found: Mapping[str, Mapping[str, Facts]] = json.loads(TABLE.read_text())
    return found


def of(workload: str) -> Mapping[str, Facts] | None:
    """The state of a workload; None for one of another distribution."""
    return tables().get(workload)


def names() -> tuple[str, ...]:
    """The workloads that have a table."""
    return tuple(tables())
