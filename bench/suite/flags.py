"""A suite with what the flags of a command say in the place of its own lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from bench.interfaces.axes import AXES, SETTINGS, Axis
from bench.interfaces.errors import UsageError
from bench.suite.configuration import parse_option
from bench.suite.suite import Suite, has_axis, mistakes_of

# Key of `suite_from_flags`, or of an entry → what is typed: for the places of mistakes.
FLAGS = (
    {axis.key: f"--{axis.flag}" for axis in AXES}
    | {axis.own: f"--{axis.flag}" for axis in AXES if axis.own}
    | {name: f"--{name}" for name in SETTINGS}
)
BY_KEY = {axis.key: axis for axis in AXES}


def suite_from_flags(base: Suite, overrides: Mapping[str, Sequence[str] | str | None]) -> Suite:
    """`base` with each list that a flag gives in the place of its own.

    Workloads and backends that `base` has by that name keep their settings there. Keys are those of
    `bench.interfaces.axes`, values the flags' words (commas separate as well); None and empty leave `base` as
    it is.

    Raises:
        UsageError: names the flag.
    """
    data = base.to_dict()
    given = {key: _words(key, value) for key, value in overrides.items() if value}
    for key in ("workloads", "backends"):
        if key in given:
            known = {entry["name"]: entry for entry in data[key]}
            data[key] = [known.get(str(word), {"name": word}) for word in given[key]]
    for key, words in given.items():
        if key in SETTINGS:
            data[key] = words[0]
        elif key not in ("workloads", "backends"):
            data |= _over(data, BY_KEY[key], words)
    if "baseline" not in given and data.get("baseline") not in [entry["name"] for entry in data["backends"]]:
        data.pop("baseline", None)
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        mistakes = dict.fromkeys(
            f"{_flag(loc)}: {message.partition(': ')[2] or message}" for loc, message in mistakes_of(error)
        )
        raise UsageError("\n".join(mistakes), hint="bakeoff run --help") from None


def _over(data: Mapping[str, Any], axis: Axis, words: Sequence[str | int]) -> dict[str, Any]:
    """What of a suite changes by the values of one flag: the suite's list, or what its entries say."""
    if axis.listed:
        value = list(words) if axis.many else words[0]
        return {axis.key: value} | {of: [_without(e, axis.own) for e in data[of]] for of in axis.entries}
    if axis.flag == "weights":
        if len(data["workloads"]) != 1:
            raise UsageError("--weights goes with one workload", hint="name it: --workload NAME")
        return {"workloads": [{**data["workloads"][0], "weights": str(Path(str(words[0])).absolute())}]}
    if axis.entries == ("workloads",):
        alone = len(data["workloads"]) == 1
        return {"workloads": [_with_length(entry, axis.own, words, alone) for entry in data["workloads"]]}
    said: Any = list(words) if axis.many else words[0]
    if axis.flag == "option":
        said = dict(parse_option(str(text)) for text in words)
    return {"backends": [{**entry, axis.own: said} for entry in data["backends"]]}


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
    axis = BY_KEY.get(key)
    if key == "options":  # whose values may hold commas
        return list(texts)
    if axis is not None and axis.many:  # elsewhere `1,5m` is a mistake, and not its first half
        texts = [part for text in texts for part in str(text).split(",")]
    words = [word.strip() for word in texts if word.strip()]
    whole = axis is not None and axis.whole
    return [int(word) if whole and re.fullmatch(r"-?[0-9]+", word) else word for word in words]
