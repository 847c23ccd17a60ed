"""What ran of an ExecuTorch program: from the dump of its event tracer (ETDump), and from the program itself.

Both are flatbuffers, told in JSON by the `flatc` of the package: its own readers would import its exporter.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.support import profiles, xnnpack
from backends.support.profiles import PRECISIONS, PROFILED, Operation
from backends.support.xnnpack import Found
from bench.interfaces.backend import Fact

PROGRAM = "schema/program.fbs"
DUMP = "devtools/etdump/etdump_schema_flatcc.fbs"
# Root, identifier, identifier and length of the header, bytes of the program before its segments.
HEADER = struct.Struct("<I4s4sIQ")
RUN, KERNEL = "Execute", "OPERATOR_CALL"
DELEGATE, OWN = "XNNPACK", "ExecuTorch's own kernels"
# Its own kernels that multiply matrices.
PRODUCTS = ("aten::mm", "aten::bmm", "aten::addmm", "aten::linear", "aten::convolution")
LIMIT_S = 240.0
# As flatc writes what JSON has no word for, and as Python reads it.
NOT_FINITE = re.compile(r"(?<=[\s:\[,])(-?)(inf|nan)\b")
PYTHONS = {"inf": "Infinity", "nan": "NaN"}

Json = Mapping[str, Any]


def executed(library: Any, path: Path, inputs: Sequence[Any]) -> Found:
    """From a second program, which is loaded to be traced, and gone afterwards.

    Args:
        library: the module of bindings.
        inputs: tensors of an untimed run.
    """
    root = Path(library.__file__).parents[2]
    plan = _plan(root, path)
    runs = [_operations(run, plan) for run in _runs(library, root, path, inputs)]
    operations = profiles.quickest(runs)
    precision, shares = profiles.weigh(operations, "ETDump of an untimed program")
    kernels = [one for one in operations if "::" in one.kind]
    spent = sum(one.ns for one in kernels)
    share = 1 - spent / (sum(one.ns for one in operations) or 1)
    calls = Counter(one.kind for one in kernels)
    left = ", ".join(f"{count} {kind}" for kind, count in calls.most_common())
    detail = f"ETDump: {share:.1%} of the time in XNNPACK; left to {OWN}: {left or 'nothing'}"
    provider = Fact(DELEGATE if share > 0.5 else OWN, "executed", detail)
    return Found(precision, provider, {**shares, "outside_xnnpack": dict(calls.most_common())})


def _runs(library: Any, root: Path, path: Path, inputs: Sequence[Any]) -> list[list[Json]]:
    """Of each run the events; a first one is not counted."""
    program = library._load_program(str(path), enable_etdump=True)
    method = program.load_method("forward")
    for _ in range(1 + PROFILED):
        method(inputs)
    with tempfile.TemporaryDirectory(prefix="bakeoff-executorch-") as folder:
        dump = Path(folder) / "run.etdp"
        program.write_etdump_result_to_file(str(dump))
        told = _json(root, DUMP, dump, "--size-prefixed")
    runs = [run["events"] for run in told["run_data"] if run["name"] == RUN]
    return [[event["profile_event"] for event in run if "profile_event" in event] for run in runs[1:]]


def _plan(root: Path, path: Path) -> Json:
    """The program's first execution plan."""
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="bakeoff-executorch-") as folder:
        _, _, magic, _, size = HEADER.unpack(file.read(HEADER.size))
        file.seek(0)
        head = Path(folder) / "program.pte"
        head.write_bytes(file.read(size if magic[:2] == b"eh" else -1))
        plan: Json = _json(root, PROGRAM, head)["execution_plan"][0]
    return plan


def _json(root: Path, schema: str, file: Path, *flags: str) -> Any:
    command = [str(root / "data/bin/flatc"), *flags, "--json", "--defaults-json", "--strict-json"]
    command += ["-o", str(file.parent), str(root / schema), "--", str(file)]
    subprocess.run(command, check=True, timeout=LIMIT_S, capture_output=True)
    told = file.with_suffix(".json").read_text()
    return json.loads(NOT_FINITE.sub(lambda found: found[1] + PYTHONS[found[2]], told))


def _operations(events: Sequence[Json], plan: Json) -> list[Operation]:
    """XNNPACK's operators, and the calls of its own kernels."""
    found: list[Operation] = []
    for event in events:
        ns = event["end_time"] - event["start_time"]
        if name := event.get("delegate_debug_id_str"):
            found.append(xnnpack.operation(name, ns))
        elif event.get("name") == KERNEL:
            instruction = plan["chains"][event["chain_index"]]["instructions"][event["instruction_id"]]
            kind = plan["operators"][instruction["instr_args"]["op_index"]]["name"]
            arguments = (plan["values"][place] for place in instruction["instr_args"]["args"])
            types = [value["val"]["scalar_type"] for value in arguments if value["val_type"] == "Tensor"]
            precision = PRECISIONS.get(types[0].lower(), "") if types else ""
            found.append(Operation(kind, precision, ns, kind in PRODUCTS))
    return found
