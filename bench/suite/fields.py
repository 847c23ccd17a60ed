"""The kinds of values in a suite: how each may be written, and what it must be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat

from bench.interfaces.backend import EMULATED
from bench.interfaces.errors import did_you_mean
from bench.interfaces.precision import EIGHT_BITS, scheme
from bench.text.units import seconds, size

FLOATS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp4", "mxfp8", "mxfp4", "nvfp4")
PRECISIONS = (*FLOATS, *EIGHT_BITS, "int4-weight")
DEVICE = re.compile(r"[A-Za-z][\w-]*(:\d+:\d+|:[\w.-]+)?", re.ASCII)


def many(value: Any) -> Any:
    """One of something is a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def named(value: Any) -> Any:
    """A name is an entry with nothing else said."""
    return {"name": value} if isinstance(value, str) else value


def no_truth(value: Any) -> Any:
    """YAML's `true` is no 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def thread(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError(f"must be a whole number from 1 on, or auto, not {value!r}")


def precision(value: Any) -> Any:
    if isinstance(value, str):
        arithmetic = value.removesuffix(EMULATED)
        if scheme(arithmetic) is None and arithmetic not in FLOATS:  # the former raises ValueError too
            raise ValueError(f"no precision is named {value!r}; {did_you_mean(arithmetic, PRECISIONS)}")
    return value


def device(value: Any) -> Any:
    if isinstance(value, str) and not DEVICE.fullmatch(value):
        raise ValueError(f"{value!r} is no device; write it like cpu, cuda:0 or openvino:GPU.0")
    return value


def in_seconds(value: Any) -> Any:
    return seconds(str(value))


def in_bytes(value: Any) -> Any:
    return size(str(value))


Whole = Annotated[int, Field(ge=1, strict=True)]
Precision = Annotated[str, BeforeValidator(precision, json_schema_input_type=str)]
Device = Annotated[str, BeforeValidator(device, json_schema_input_type=str)]
Thread = Annotated[
    int | Literal["auto"], BeforeValidator(thread, json_schema_input_type=Whole | Literal["auto"])
]
Some = Field(min_length=1)
Wholes = Annotated[
    tuple[Whole, ...],
    Some,
    BeforeValidator(many, json_schema_input_type=Whole | Annotated[list[Whole], Some]),
]
OneOrMore = str | Annotated[list[str], Some]
Precisions = Annotated[tuple[Precision, ...], Some, BeforeValidator(many, json_schema_input_type=OneOrMore)]
Devices = Annotated[tuple[Device, ...], Some, BeforeValidator(many, json_schema_input_type=OneOrMore)]
Words = Annotated[tuple[str, ...], Some, BeforeValidator(many, json_schema_input_type=OneOrMore)]
Threads = Annotated[
    tuple[Thread, ...],
    Some,
    BeforeValidator(
        many,
        json_schema_input_type=Whole | Literal["auto"] | Annotated[list[Whole | Literal["auto"]], Some],
    ),
]
Duration = Annotated[float, BeforeValidator(in_seconds, json_schema_input_type=str | PositiveFloat)]
Memory = Annotated[int, BeforeValidator(in_bytes, json_schema_input_type=str | Whole)]
