"""A suite: what to measure, how thoroughly, and what to compare it with. Read from YAML or made from flags.

`python -m bench.suite.suite > bench/suite/builtin/suite.schema.json` writes the JSON schema for editors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from bench.files import heads, regular
from bench.interfaces import options
from bench.interfaces.axes import more
from bench.interfaces.errors import BakeoffError, SuiteError, did_you_mean
from bench.suite.fields import Devices, Duration, Memory, Precisions, Threads, Wholes, Words, named, no_truth
from bench.suite.yaml_lines import MAX_BYTES, line_of, load
from bench.text import strict_json

FOLDER = Path(__file__).parent / "builtin"
WORDS = {"missing": "is missing", "too_short": "is empty", "bool_parsing": "must be true or false"}


def _check(call: Any, *arguments: str) -> Any:
    """An error of ours as a ValueError, which pydantic gives its place."""
    try:
        return call(*arguments)
    except BakeoffError as error:
        raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from error


def _encodes(path: str) -> bool:
    try:
        return bool(os.fsencode(path)) or not path
    except UnicodeEncodeError:
        return False


def has_axis(workload: str, axis: str) -> bool:
    """Whether a workload has lengths, and calls them so."""
    from bench.plugins.workload_registry import get

    return get(workload).default_length is not None and get(workload).axis == axis


class Model(BaseModel):
    """Unknown keys are mistakes; nothing changes once made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkloadEntry(Model):
    """A workload, with shapes of its own where those of the suite do not fit."""

    name: str = Field(description="as in `bakeoff list workloads`")
    weights: str = Field(
        default="", description="local checkpoint of the same architecture; seeded weights without"
    )
    sequence: Wholes | None = Field(default=None, description="tokens per sample; the workload's own without")
    context: Wholes | None = Field(
        default=None, description="tokens before a decoder's step; the workload's own without"
    )
    batch: Wholes | None = Field(default=None, description="samples per inference; the suite's without")
    precisions: Precisions | None = Field(
        default=None, description="the suite's without; of a backend's own list those that are here too"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        from bench.plugins.workload_registry import get

        _check(get, name)
        return name

    @field_validator("weights")
    @classmethod
    def _is_a_path(cls, weights: str) -> str:
        if "\0" in weights or not _encodes(weights):
            raise ValueError(f"{weights!a:.60} can be no path")
        return weights

    @field_validator("sequence", "context")
    @classmethod
    def _has_axis(cls, lengths: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        name, axis = info.data.get("name"), str(info.field_name)
        if lengths and name and not has_axis(name, axis):
            raise ValueError(f"{name} has no {axis} axis")
        return lengths


class BackendEntry(Model):
    """A backend, with settings of its own."""

    name: str = Field(description="NAME[:VARIANT][==VERSION], as in `bakeoff list backends`")
    preset: Words = Field(default=("stock",), description="one or several, each a row")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the backend's own settings")
    precisions: Precisions | None = Field(default=None, description="the suite's without")
    devices: Devices | None = Field(default=None, description="the suite's without")
    threads: Threads | None = Field(default=None, description="the suite's without")
    twin: str = Field(default="", description="tells apart entries that are otherwise alike")

    @property
    def spec(self) -> str:
        """`NAME[:VARIANT][==VERSION]`."""
        return self.name

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        from bench.plugins.backend_registry import parse

        _check(parse, name)
        return name

    @field_validator("preset")
    @classmethod
    def _has_preset(cls, preset: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        from bench.plugins.backend_registry import get, parse

        if name := info.data.get("name"):
            known = get(parse(name)[0]).presets
            for one in preset:
                if one not in known:
                    raise ValueError(f"{name} has no preset {one!r}; {did_you_mean(one, known)}")
        return preset

    @field_validator("options")
    @classmethod
    def _takes(cls, given: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        from bench.plugins.backend_registry import get, parse

        name = info.data.get("name")
        if name and (known := options.options_of(get(parse(name)[0]))) is not None:
            mine = options.of(known, parse(name)[1])
            if wrong := list(options.mistakes(name, mine, given)):
                raise ValueError("; ".join(wrong))
        return given


class Limits(Model):
    """What a worker, or what makes a file for it, may take before it is ended; its row then says so."""

    prepare: Duration = Field(default=1800.0, description="seconds for each file that is made")
    load: Duration = Field(default=300.0, description="seconds to load and run once")
    warmup: Duration = Field(default=120.0, description="seconds")
    burst: Duration = Field(default=60.0, description="seconds")
    memory: Memory | None = Field(
        default=None, description="8GB, 512MiB or bytes; what the machine has without"
    )


Workloads = Annotated[
    tuple[Annotated[WorkloadEntry, BeforeValidator(named, json_schema_input_type=str | WorkloadEntry)], ...],
    Field(min_length=1),
]
Backends = Annotated[
    tuple[Annotated[BackendEntry, BeforeValidator(named, json_schema_input_type=str | BackendEntry)], ...],
    Field(min_length=1),
]


class Suite(Model):
    """What is measured: every workload on every backend, over precisions, devices, batches and threads."""

    name: str = Field(default="", description="the file's name without")
    description: str = ""
    workloads: Workloads
    backends: Backends
    precisions: Precisions = ("fp32",)
    devices: Devices = ("cpu",)
    batches: Wholes = (1,)
    threads: Threads = Field(default=("auto",), description="auto: every core of the budget")
    baseline: str | None = Field(
        default=None, description="the backend that others are compared with; the first without"
    )
    profile: Literal["quick", "standard", "publish", "ab", "aa"] = "quick"
    budget: Duration | None = Field(
        default=None, description="time for measuring: 10m, 90s, 1h30m or seconds"
    )
    rotate: Annotated[int, BeforeValidator(no_truth)] = Field(
        default=0,
        ge=0,
        le=1024,
        description="copies of the input that take turns, so that none lies in a cache; 0: one",
    )
    anchor: bool = Field(
        default=True, description="measure the anchor, by which runs of different days are compared"
    )
    null: bool = Field(default=True, description="measure the null backend, the harness's own overhead")
    limits: Limits = Limits()
    relevant: Annotated[float, BeforeValidator(no_truth)] = Field(
        default=2.0, gt=0, le=100, description="the least difference that matters, in percent"
    )

    @field_validator("baseline")
    @classmethod
    def _is_measured(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        specs = [entry.name for entry in info.data.get("backends", ())]
        if baseline is not None and specs and baseline not in specs:
            raise ValueError(f"{baseline!r} is none of the suite's backends; {did_you_mean(baseline, specs)}")
        return baseline

    @property
    def baseline_spec(self) -> str:
        """The baseline's `NAME[:VARIANT][==VERSION]`."""
        return self.baseline or self.backends[0].spec

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data without what is left at its default; `from_dict` takes it back."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_yaml(self) -> str:
        """A suite file that loads to this suite."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises SuiteError with every mistake."""
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise SuiteError("\n".join(message for _, message in mistakes_of(error))) from None


def _more_lists() -> dict[str, Any]:
    """A list for each axis that has no field of its own: () where it is not asked for."""
    kinds = {True: Wholes | tuple[()], False: Words | tuple[()]}
    return {axis.key: (kinds[axis.whole], Field(default=(), description=axis.text)) for axis in more()}


if not TYPE_CHECKING and more():
    Suite = create_model("Suite", __base__=Suite, __module__=__name__, **_more_lists())


def builtin_names() -> tuple[str, ...]:
    """The suites that come with bakeoff."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_suite(path_or_name: str | Path) -> Suite:
    """A suite that comes with bakeoff by its name, or a YAML file.

    Relative paths of weights in a file are taken from the file's folder.

    Raises:
        SuiteError: the file is missing or has mistakes, each as `file:line: …`.
    """
    name = str(path_or_name)
    path = FOLDER / f"{name}.yaml" if name in builtin_names() else Path(path_or_name)
    shown = path.name if path.parent == FOLDER else name
    data, lines = load(_text(path, shown), shown)
    if not isinstance(data, dict):
        raise SuiteError(f"{shown}:1: not a suite: a suite is keys and values", hint="bakeoff list suites")
    if path.parent == FOLDER:
        data = _of_what_is_here(data)
    try:
        suite = Suite.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        found = sorted((line_of(lines, loc), message) for loc, message in mistakes_of(error))
        mistakes = dict.fromkeys(f"{shown}:{line}: {message}" for line, message in found)
        raise SuiteError("\n".join(mistakes), hint=f"then again: bakeoff run {name}") from None
    entries = tuple(
        entry.model_copy(update={"weights": str((path.parent / entry.weights).absolute())})
        if entry.weights
        else entry
        for entry in suite.workloads
    )
    return suite.model_copy(update={"workloads": entries})


def _of_what_is_here(data: dict[str, Any]) -> dict[str, Any]:
    """A suite that comes with bakeoff, without backends whose folders were taken out of this copy."""
    from bench.plugins import backend_registry

    def here(entry: Any) -> bool:
        spec = backend_registry.SPEC.fullmatch(entry["name"] if isinstance(entry, dict) else entry)
        return spec is not None and (backend_registry.folder(spec["name"]) / backend_registry.FILE).is_file()

    kept = {"backends": [entry for entry in data["backends"] if here(entry)]}
    lost = "baseline" in data and not here(data["baseline"])
    return {key: value for key, value in data.items() if key != "baseline" or not lost} | kept


def _text(path: Path, shown: str) -> str:
    try:
        with regular.opened(path) as file:
            data = file.read(MAX_BYTES + 1)
        found = heads.kind(data[: heads.HEAD], len(data))
        if found in heads.INSTEAD_OF_TEXT:
            raise SuiteError(f"{shown} is {found.name}", hint=found.instead)
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        other = found.instead and found not in (heads.UNKNOWN, heads.TEXT)
        what = f"{found.name}, not a suite" if other else "not UTF-8 text"
        raise SuiteError(f"{shown}:{line}: {what}") from None
    except FileNotFoundError as error:
        if path.is_symlink():
            raise SuiteError(f"{shown}: {error.strerror}", hint="bakeoff list suites") from None
        what = f"no suite and no file is named {shown!r}; {did_you_mean(shown, builtin_names())}"
        raise SuiteError(what, hint="bakeoff list suites") from None
    except OSError as error:
        raise SuiteError(f"{shown}: {error.strerror}", hint="bakeoff list suites") from None


def mistakes_of(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Where and what, each in words."""
    models: dict[str, type[Model]] = {"workloads": WorkloadEntry, "backends": BackendEntry, "limits": Limits}
    found = []
    for one in error.errors():
        if one["type"] == "too_short" and one["input"]:
            continue  # its items were mistakes, and are told as such
        loc = one["loc"]
        field = ".".join(str(part) for part in loc if isinstance(part, str))
        if one["type"] == "extra_forbidden":
            model = models.get(str(loc[0]), Suite) if len(loc) > 1 else Suite
            text = f"unknown key {loc[-1]!r}; {did_you_mean(str(loc[-1]), model.model_fields)}"
            field = ".".join(field.split(".")[:-1])
        elif one["type"] in WORDS:
            text = WORDS[one["type"]]
        elif one["type"] == "value_error":
            text = str(one["ctx"]["error"])
        else:
            text = one["msg"].replace("Input should be", "must be")
            text = text[0].lower() + text[1:] + f", not {one['input']!r:.60}"
        found.append((loc, f"{field}: {text}" if field else text))
    return found


def json_schema() -> dict[str, Any]:
    """For editors: completes keys and marks mistakes while a suite is written."""
    schema = Suite.model_json_schema(mode="validation")
    schema["$defs"]["BackendEntry"]["allOf"] = list(_options_by_backend())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "bakeoff suite"}


def _options_by_backend() -> Iterator[dict[str, Any]]:
    """For each backend, by its name, which options there are and what they take."""
    from bench.plugins import backend_registry

    for name in backend_registry.names("runtime"):
        known = options.options_of(backend_registry.get(name))
        if known is None:
            continue
        properties = {key: {"description": one.text, **_values(one)} for key, one in known.items()}
        closed = {"properties": properties, "additionalProperties": False}
        named = {"properties": {"name": {"pattern": f"^{re.escape(name)}($|:|==)"}}}
        yield {"if": named, "then": {"properties": {"options": closed}}}


def _values(option: options.Option) -> dict[str, Any]:
    """The schema of an option's values: those that `Option.takes`, but for bounds."""
    if option.choices:
        return {"enum": list(option.choices)}
    kinds: dict[str, dict[str, Any]] = {
        "truth": {"enum": [True, False, 0, 1, "0", "1"]},
        "whole": {"type": ["integer", "string"], "pattern": "^[0-9]+$"},
        "number": {"type": "number"},
        "text": {"type": "string"},
    }
    return kinds[option.kind]


if __name__ == "__main__":
    print(strict_json.dumps(json_schema(), indent=2))
