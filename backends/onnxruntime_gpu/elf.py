"""The shared libraries that one needs, by name, read from its file: what a loader would say one at a time."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LOAD, DYNAMIC = 1, 2  # p_type of program headers
NEEDED, STRINGS = 1, 5  # d_tag of the dynamic section


def needed(path: Path) -> list[str]:
    """DT_NEEDED of a 64-bit little-endian ELF file (System V ABI). Raises ValueError for another file."""
    with path.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is no 64-bit little-endian ELF file")
        (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
        headers = [struct.unpack_from("<IIQQQQ", table, size * i) for i in range(count)]
        at, length = next((start, extent) for kind, _, start, _, _, extent in headers if kind == DYNAMIC)
        file.seek(at)
        entries = list(struct.iter_unpack("<qQ", file.read(length - length % 16)))
        address = next(value for tag, value in entries if tag == STRINGS)
        strings = next(
            start + address - virtual
            for kind, _, start, virtual, _, extent in headers
            if kind == LOAD and virtual <= address < virtual + extent
        )
        return [_string(file, strings + value) for tag, value in entries if tag == NEEDED]


def missing(names: Iterable[str], folders: Iterable[Path] = ()) -> list[str]:
    """What neither the folders nor the loader have, of these and of what they need in turn; what is found
    stays loaded."""
    folders = list(folders)
    return list(dict.fromkeys(lacking for name in names if (lacking := _lacking(name, folders))))


def _lacking(name: str, folders: list[Path]) -> str:
    found = next((str(folder / name) for folder in folders if (folder / name).is_file()), name)
    try:
        ctypes.CDLL(found)
    except OSError as error:
        return str(error).partition(":")[0].rpartition("/")[2]  # how a loader begins: the file that it lacks
    return ""


def _string(file: Any, at: int) -> str:
    file.seek(at)
    return bytes(file.read(256)).split(b"\0", 1)[0].decode()
