"""Writes the table of tensors by which checkpoints are judged (`bench.prepare.checkpoints.tables`), from the
modules of the workloads: `python -m tools.workload_states`. Needs PyTorch.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator

import workloads
from bench.interfaces.workload import Workload
from bench.prepare.checkpoints.tables import TABLE, Facts


def built_in() -> Iterator[Workload]:
    """The workloads of this package that have weights of their own."""
    for module in pkgutil.iter_modules(workloads.__path__):
        for workload in getattr(importlib.import_module(f"workloads.{module.name}"), "WORKLOADS", ()):
            if workload.weights_of in ("", workload.name):
                yield workload


def described(workload: Workload) -> dict[str, Facts]:
    """Key → [dtype, *shape] of a workload's module, which takes no memory for it. Needs PyTorch."""
    import torch

    with torch.device("meta"):
        state = workload.build().state_dict()
    return {key: [str(one.dtype).removeprefix("torch."), *one.shape] for key, one in state.items()}


def text() -> str:
    """The table as the file has it: a line for each key. Needs PyTorch."""
    parts = []
    for workload in sorted(built_in(), key=lambda one: one.name):
        lines = (f"  {json.dumps(key)}: {json.dumps(facts)}" for key, facts in described(workload).items())
        parts.append(f" {json.dumps(workload.name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(text())
