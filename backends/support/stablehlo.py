"""A StableHLO program and its weights, as files. Standard library and NumPy alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.interfaces.tensors import Array

WEIGHTS = "weights.safetensors"  # beside the program: those of the origin, in fp32
ARGUMENTS = "arguments.json"


def read_weights(folder: Path) -> dict[str, Array]:
    """Name → float32 array of the weights in a folder, mapped and not yet read.

    The format (safetensors README): eight bytes with the length of a JSON header, the header, the data.
    Raises OSError, ValueError and KeyError.
    """
    path = folder / WEIGHTS
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "r", offset=8 + length)
    found = {}
    for name, tensor in header.items():
        if tensor.get("dtype") == "F32":
            start, end = tensor["data_offsets"]
            found[name] = data[start:end].view(np.float32).reshape(tensor["shape"])
    return found
