"""What `torch.save` wrote, read without torch: the zip of now, and the pickles in a row of before.

Sources: `torch/serialization.py` (`_save`, `_legacy_save`), PyTorch 2.13.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import BinaryIO

from bench.files.heads import SAVE, TORCH, UNPACK
from bench.interfaces.errors import ModelFileError
from bench.prepare.checkpoints import pickles
from bench.prepare.checkpoints.pickles import Pickled
from bench.prepare.checkpoints.tree import Other, Tree, listed, shown

MOST_PICKLED = 64 << 20  # bytes: names and shapes, no values
# The pickle of 0x1950a86a20f9469cfc6c, with which an old file begins.
MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
STATE = "torch.save(model.state_dict(), 'weights.pt')"
AGAIN = f"where it was made, save the weights alone: {STATE}, or better {SAVE}"
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def read_zip(file: BinaryIO, path: str) -> Tree:
    """The tree of a zip that torch wrote. Raises ModelFileError for any other and for a damaged one."""
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {one.filename: one.file_size for one in archive.infolist()}
            main = [name for name in sizes if name.count("/") <= 1 and f"/{name}".endswith("/data.pkl")]
            if len(main) != 1 or (other := _program(sizes, main[0])):
                raise _not_torch(list(sizes), other if main else "", path)
            if sizes[main[0]] > MOST_PICKLED:
                raise ValueError(f"its data.pkl has {sizes[main[0]]:,} bytes, far more than names take")
            with archive.open(main[0]) as inner:
                found = pickles.read(io.BytesIO(inner.read(MOST_PICKLED + 1)))
    except BROKEN as error:
        hint = "fetch or copy it again: the end of a zip is its table of contents"
        raise ModelFileError(f"{path} is a damaged zip of torch's: {error}", hint=hint) from error
    folder = main[0].removesuffix("data.pkl")
    for key, size in found.storages.items():
        if sizes.get(f"{folder}data/{key}", -1) < size:
            raise ModelFileError(
                f"{path} is a damaged zip of torch's: data/{shown(key)} is missing or too short",
                hint="fetch or copy it again",
            )
    return _tree(found, path)


def _program(names: dict[str, int], main: str) -> str:
    folder = main.removesuffix("data.pkl")
    if f"{folder}constants.pkl" in names:
        return "a TorchScript program, not a state_dict"
    return ""


def _not_torch(names: list[str], other: str, path: str) -> ModelFileError:
    """What such a zip is, by the names in it."""
    inside = f"a zip of other things ({listed(sorted(names))})" if names else "an empty zip"
    what, hint = other or inside, AGAIN if other else UNPACK
    if any(name.endswith((".npy", ".npz")) for name in names):
        what, hint = "a NumPy archive (.npz)", f"convert its arrays to tensors, and save them: {SAVE}"
    elif any(name.endswith(("/archive_format", "/archive_version")) for name in names):
        what, hint = "an exported program (.pt2), not a state_dict", AGAIN
    elif "model.weights.h5" in names:
        what, hint = "a Keras model (.keras)", TORCH
    return ModelFileError(f"{path} is {what}", hint=hint)


def read_pickles(file: BinaryIO, path: str) -> Tree:
    """The tree of what an old torch wrote; of other pickles nothing is read. Raises ModelFileError."""
    file.seek(0)
    start = io.BytesIO(file.read(MOST_PICKLED))  # bounded: the values come behind
    if start.getvalue()[2 : 2 + len(MAGIC)] != MAGIC:
        raise ModelFileError(
            f"{path} is a pickle that torch.save did not write; it may run code and is never loaded",
            hint=AGAIN,
        )
    try:
        for _ in range(3):  # the magic number, the version of the protocol, facts of the system
            pickles.read(start)
        found = pickles.read(start)
    except ValueError as error:
        raise ModelFileError(
            f"{path} is a damaged file of torch's: {error}", hint="fetch it again"
        ) from error
    return _tree(found, path)


def _tree(found: Pickled, path: str) -> Tree:
    """Raises ModelFileError where it holds what only code from the file could make."""
    root = found.root
    if isinstance(root, Other) and root.what in found.foreign:
        raise ModelFileError(
            f"{path} is a whole object of {shown(root.what)}, not a state_dict; "
            "a pickle that may run code is never loaded",
            hint=AGAIN,
        )
    if found.foreign:
        raise ModelFileError(
            f"{path} holds objects besides tensors ({listed(found.foreign)}), which only code that the file "
            "names could make; such a pickle is never loaded",
            hint=AGAIN,
        )
    if not isinstance(root, dict):
        what = root.what if isinstance(root, Other) else "one tensor"
        raise ModelFileError(f"{path} holds {shown(what)}, not a state_dict", hint=AGAIN)
    return root
