"""A model of CTranslate2, opened, and what it is fed. Imports the runtime, and late."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from bench.interfaces.tensors import Array

if TYPE_CHECKING:
    from ctranslate2 import Encoder, Generator, StorageView

# A file begins with the format's version, and the length and the characters of its specification's name.
HEADER = struct.Struct("<IH")
KINDS = {b"TransformerEncoderSpec": "Encoder", b"TransformerDecoderSpec": "Generator"}


def kind(path: Path) -> str:
    """`Encoder` or `Generator`. Raises OSError, ValueError for a file that is no such model."""
    with path.open("rb") as file:
        head = file.read(HEADER.size)
        if len(head) == HEADER.size:
            _, length = HEADER.unpack(head)
            if found := KINDS.get(file.read(length).rstrip(b"\0")):
                return found
    raise ValueError("it does not begin as a model of CTranslate2 does")


def opened(path: Path, compute: str, threads: int) -> Encoder | Generator:
    """One replica on the CPU."""
    import ctranslate2

    return getattr(ctranslate2, kind(path))(
        str(path.parent), device="cpu", compute_type=compute, inter_threads=1, intra_threads=threads
    )


def feed(ids: Array, lengths: Array) -> tuple[StorageView, StorageView]:
    """int32 [batch, length] and int32 [batch], whose memory it shares."""
    from ctranslate2 import StorageView

    return StorageView.from_array(ids), StorageView.from_array(lengths)


def array(view: StorageView) -> Array:
    """The values in float32, not copied where they are of that type."""
    import numpy as np
    from ctranslate2 import DataType

    return np.asarray(view if view.dtype == DataType.float32 else view.to(DataType.float32))
