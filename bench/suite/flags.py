"""A suite with what the flags of a command say in the place of its own lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from bench.interfaces.errors import UsageError
from bench.suite.configuration import parse_option
from bench.suite.suite import Suite, has_axis, mistakes_of

# Key of `suite_from_flags` → what is typed; the keys of entries are here for the places of mistakes.
FLAGS = {
    "workloads": "--workload",
    "backends": "--backend",
    "precisions": "--precision",
    "devices": "--device",
    "batches": "--batch",
    "sequences": "--sequence",
    "contexts": "--context",
    "threads": "--threads",
    "presets": "--preset",
    "weights": "--weights",
    "baseline": "--baseline",
    "profile": "--profile",
    "budget": "--budget",
    "rotate": "--rotate",
    "options": "--option",
    "sequence": "--sequence",
    "context": "--context",
    "preset": "--preset",
}
LISTS = ("precisions", "devices", "batches", "threads")
NUMBERS = ("batches", "sequences", "contexts", "threads")
SINGLES = ("baseline", "profile", "budget", "rotate")


def suite_from_flags(base: Suite, overrides: Mapping[str, Sequence[str] | str | None]) -> Suite:
    """`base` with each list that a flag gives in the place of its own.

    Workloads and backends that `base` has by that name keep their settings there. Keys are the plural ones
    of `FLAGS`, values the flags' words (commas separate as well); None and empty leave `base` as it is.

    Raises:
        UsageError: names the flag.
    """
    data = base.to_dict()
    given = {key: _words(key, value) for key, value in overrides.items() if value}
    for key in ("workloads", "backends"):
        if key in given:
            known = {entry["name"]: entry for entry in data[key]}
            data[key] = [known.get(str(word), {"name": word}) for word in given[key]]
    workloads, backends = data["workloads"], data["backends"]
    for key in ("precisions", "devices", "threads"):
        if key in given:
            backends = [_without(entry, key) for entry in backends]
    if "options" in given:
        options = dict(parse_option(str(text)) for text in given["options"])
        backends = [{**entry, "options": options} for entry in backends]
    if "presets" in given:
        backends = [{**entry, "preset": given["presets"]} for entry in backends]
    if "batches" in given:
        workloads = [_without(entry, "batch") for entry in workloads]
    if "precisions" in given:
        workloads = [_without(entry, "precisions") for entry in workloads]
    for axis in ("sequence", "context"):
        if lengths := given.get(f"{axis}s"):
            alone = len(workloads) == 1
            workloads = [_with_length(entry, axis, lengths, alone) for entry in workloads]
    if "weights" in given:
        if len(workloads) != 1:
            raise UsageError("--weights goes with one workload", hint="name it: --workload NAME")
        workloads = [{**workloads[0], "weights": str(Path(str(given["weights"][0])).absolute())}]
    data |= {"workloads": workloads, "backends": backends}
    data |= {key: given[key] for key in LISTS if key in given}
    data |= {key: given[key][0] for key in SINGLES if key in given}
    if "baseline" not in given and data.get("baseline") not in [entry["name"] for entry in backends]:
        data.pop("baseline", None)
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        mistakes = dict.fromkeys(
            f"{_flag(loc)}: {message.partition(': ')[2] or message}" for loc, message in mistakes_of(error)
        )
        raise UsageError("\n".join(mistakes), hint="bakeoff run --help") from None


def _with_length(
    entry: Mapping[str, Any], axis: str, lengths: Sequence[str | int], alone: bool
) -> dict[str, Any]:
    """Among several workloads those without that axis stay as they are; one alone is a mistake."""
    from bench.plugins.workload_registry import names

    without = entry["name"] in names() and not has_axis(entry["name"], axis)
    return dict(entry) if without and not alone else {**entry, axis: lengths}


def _flag(loc: Sequence[int | str]) -> str:
    """The flag that a mistake at `loc` came from."""
    return next((FLAGS[part] for part in reversed(loc) if isinstance(part, str) and part in FLAGS), "suite")


def _without(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def _words(key: str, value: Sequence[str] | str) -> list[str | int]:
    texts = [value] if isinstance(value, str) else value
    if key == "options":  # whose values may hold commas
        return list(texts)
    if key not in (*SINGLES, "weights"):  # there `1,5m` is a mistake, and not its first half
        texts = [part for text in texts for part in str(text).split(",")]
    words = [word.strip() for word in texts if word.strip()]
    return [int(word) if key in NUMBERS and re.fullmatch(r"-?[0-9]+", word) else word for word in words]
