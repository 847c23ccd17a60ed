"""The command that settles what a comparison leaves open."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection

import yaml

from bench.interfaces.axes import AXES, Axis
from bench.interfaces.case import Case
from bench.store.records import RunRecord
from bench.suite.configuration import FACTS
from bench.text import strict_json

USUAL = {"precision": "fp32", "device": "cpu", "preset": "stock"}  # what `bakeoff ab` takes unless told


def written(case: Case, facts: Collection[str] = FACTS, version: str = "") -> str:
    """A case as one side is typed: `onnxruntime==1.31.1@precision=fp32,threads=2`.

    Args:
        facts: which of `bench.suite.configuration.FACTS` are said; options always are.
        version: where the case itself names none.
    """
    spec = case.backend_spec + (f"=={version}" if version and not case.version else "")
    said = {key: str(getattr(case.target, key)) for key in FACTS if key in facts}
    said |= {key: as_yaml(value) for key, value in case.target.options.items()}
    return spec + ("@" + ",".join(f"{key}={value}" for key, value in said.items()) if said else "")


def ab_command(base: Case, new: Case, base_version: str = "", new_version: str = "") -> str:
    """`bakeoff ab …`, which measures both in turns: facts that they share are flags, the others are theirs.

    Args:
        base_version, new_version: what was installed; said where they differ.
    """
    targets = [base.target, new.target]
    apart = [key for key in FACTS if len({str(getattr(target, key)) for target in targets}) > 1]
    versions = (base_version, new_version) if base_version != new_version else ("", "")
    sides = [written(case, apart, version) for case, version in zip((base, new), versions, strict=True)]
    said = []
    for axis in (axis for axis in AXES if axis.shared and axis.flag not in apart):
        for word in [base.weights] if axis.flag == "weights" and base.weights else _words(base, axis):
            said += [] if word == USUAL.get(axis.flag) else [f"--{axis.flag}", word]
    return shlex.join(["bakeoff", "ab", *sides, *said])


def _bare(text: str) -> bool:
    """Whether a text reads as itself without quotes, within a list of settings too."""
    try:
        return not set(text) & set(",[]{}'\"") and yaml.safe_load(text) == text
    except yaml.YAMLError:
        return False


def reproduce(case: Case) -> str:
    """The command that measures a case again, under the same id on the same machine.

    It holds no path: weights are `--weights PATH`. What no flag says takes a suite file, and it says of what.
    """
    if unsaid := _unsaid(case):
        return f"needs a suite file: no flag says {unsaid}"
    said = [f"--{axis.flag} {shlex.quote(word)}" for axis in AXES for word in _words(case, axis)]
    return " ".join(["bakeoff run", *said])


def _words(case: Case, axis: Axis) -> list[str]:
    """What is typed for an axis, one word for each use of its flag; [] where it is at its default."""
    if axis.flag == "backend":
        return [case.backend_spec]
    if axis.flag == "weights":
        return ["PATH"] if case.weights else []
    if axis.flag == "option":
        return [f"{key}={as_yaml(value)}" for key, value in case.target.options.items()]
    if not axis.dedicated:
        value = case.axes.get(axis.flag)
    else:
        value = getattr(case if axis.of == "case" else case.target, axis.flag)
    return [str(value)] if value and (axis.flag, value) != ("preset", "stock") else []


def _unsaid(case: Case) -> str:
    """What of a case can be typed nowhere, or ''."""
    if case.scenario != "single-stream":
        return f"scenario {case.scenario}"
    odd = [key for key in case.target.options if "=" in key or key != key.strip() or not key]
    return f"option {odd[0]!r}" if odd else ""


def repeat_command(run: RunRecord) -> str:
    """The command that made a run."""
    return shlex.join(["bakeoff", *(run.command or ["run", run.name])])


def as_yaml(value: object) -> str:
    """A value on one line as YAML reads it back: a text that would be a number is quoted, infinity `.inf`."""
    if isinstance(value, str):
        return value if _bare(value) else strict_json.dumps(value)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")
