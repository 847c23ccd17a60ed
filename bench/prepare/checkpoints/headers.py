"""The header of a safetensors file, read without the library: names, shapes, dtypes, and whether they fit the
file. Source of the format: https://github.com/huggingface/safetensors, 'Format'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, BinaryIO

from bench.files.heads import MAX_HEADER
from bench.prepare.checkpoints.tree import Tensor, shown

DTYPES = {  # safetensors' word → ours, bits
    "F64": ("float64", 64),
    "F32": ("float32", 32),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "I64": ("int64", 64),
    "I32": ("int32", 32),
    "I16": ("int16", 16),
    "I8": ("int8", 8),
    "U64": ("uint64", 64),
    "U32": ("uint32", 32),
    "U16": ("uint16", 16),
    "U8": ("uint8", 8),
    "BOOL": ("bool", 8),
    "C64": ("complex64", 64),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "F4": ("float4", 4),
}


def read(file: BinaryIO, size: int) -> dict[str, Tensor]:
    """The tensors of an open safetensors file of that many bytes. Raises ValueError with a sentence."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(f"its header would have {length:,} bytes; the format ends at {MAX_HEADER:,}")
    if length > size - 8:
        raise ValueError(f"its header has {length:,} bytes, the file only {size:,}: it was cut off")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("its header is not UTF-8") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    header.pop("__metadata__", None)
    spans = []
    tensors = {}
    for name, facts in header.items():
        tensors[name], span = _tensor(name, facts)
        spans.append((*span, name))
    _require_whole(sorted(spans), size - 8 - length)
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} stands twice in it")
        found[name] = value
    return found


def _tensor(name: str, facts: Any) -> tuple[Tensor, tuple[int, int]]:
    """A tensor, and its first byte and the one after its last. Raises ValueError."""
    facts = facts if isinstance(facts, dict) else {}
    word, shape, span = facts.get("dtype"), facts.get("shape"), facts.get("data_offsets")
    if not isinstance(word, str) or word not in DTYPES:
        raise ValueError(f"{shown(name)} has the dtype {shown(str(word))}, which the format does not know")
    if not _counts(shape) or not _counts(span) or len(span) != 2:
        raise ValueError(f"{shown(name)} has no shape and offsets of whole numbers")
    dtype, bits = DTYPES[word]
    begin, end = span
    if math.prod(shape) * bits != (end - begin) * 8:
        raise ValueError(f"{shown(name)} is {word} {shape} in {end - begin:,} bytes, which does not agree")
    return Tensor(dtype, tuple(shape)), (begin, end)


def _counts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(one) is int and 0 <= one < 1 << 63 for one in value)
    )


def _require_whole(spans: Sequence[tuple[int, int, str]], size: int) -> None:
    """Raises ValueError unless the spans lie one behind the other and fill the data."""
    at = 0
    for begin, end, name in spans:
        if end > size:
            raise ValueError(f"{shown(name)} ends {end - size:,} bytes behind the end: the file was cut off")
        if begin != at:
            raise ValueError(f"{shown(name)} {'overlaps another' if begin < at else 'leaves a hole'}")
        at = end
    if at != size:
        raise ValueError(f"{size - at:,} bytes at its end belong to no tensor")
