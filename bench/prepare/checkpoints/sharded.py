"""A checkpoint in several files, as Hugging Face's libraries write it: an index says which key is where.

`model.safetensors.index.json` or `pytorch_model.bin.index.json`: {"weight_map": {KEY: FILE}}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bench.files import regular
from bench.interfaces.errors import ModelFileError
from bench.prepare.checkpoints.tree import listed, shown

NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WHOLE = ("model.safetensors", "pytorch_model.bin")
MAX_INDEX = 32_000_000  # bytes
MAX_SHARDS = 10_000
LACKS = "fetch it whole; the index names every file of it"


@dataclass(frozen=True, slots=True)
class Index:
    """Which key lies in which file of the folder."""

    path: Path
    keys: dict[str, str]

    @property
    def shards(self) -> dict[str, Path]:
        """Name as the index has it → path, sorted."""
        return {name: self.path.parent / name for name in sorted(set(self.keys.values()))}


def index_of(folder: Path) -> Path:
    """The index in a folder. Raises ModelFileError where there is none."""
    found = sorted(folder.glob("*.index.json"))
    known = [folder / name for name in NAMES if folder / name in found]
    if known or len(found) == 1:
        return (known or found)[0]
    whole = [name for name in WHOLE if (folder / name).is_file()]
    what = f"holds {len(found)} indexes" if found else f"has no index ({NAMES[0]})"
    hint = f"name the file in it: --weights {folder / whole[0]}" if whole else "name a file in it"
    raise ModelFileError(f"{folder} is a folder that {what}", hint=hint)


def read_index(path: Path) -> Index | None:
    """The index that a JSON file is, None for any other JSON. Raises ModelFileError, OSError."""
    with regular.opened(path) as file:
        text = file.read(MAX_INDEX + 1)
    if len(text) > MAX_INDEX:
        raise ModelFileError(f"{path} has over {MAX_INDEX // 1_000_000} MB; that is no index")
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is broken JSON: {error}", hint="fetch it again") from error
    keys = data.get("weight_map") if isinstance(data, dict) else None
    if keys is None:
        return None
    if not isinstance(keys, dict) or not keys or not all(isinstance(name, str) for name in keys.values()):
        raise ModelFileError(f"{path}: its weight_map does not give a file for each key", hint=LACKS)
    found = Index(path, keys)
    if len(found.shards) > MAX_SHARDS:
        raise ModelFileError(f"{path} names {len(found.shards)} files; that is no index")
    for name, shard in found.shards.items():
        _require_inside(name, shard, path)
    missing = [name for name, shard in found.shards.items() if not shard.exists() and not shard.is_symlink()]
    if missing:
        raise ModelFileError(f"{path}: {listed(missing)} of its folder is not there", hint=LACKS)
    return found


def _require_inside(name: str, shard: Path, index: Path) -> None:
    """Raises ModelFileError for a file outside of the index's folder.

    Links are followed within it, and in Hugging Face's cache (`MODEL/snapshots/REVISION/` links into
    `MODEL/blobs/`) within the folder of the model.
    """
    plain = PurePosixPath(name)
    home = index.parent.resolve()
    if home.parent.name == "snapshots" and (home.parent.parent / "blobs").is_dir():
        home = home.parent.parent
    if plain.is_absolute() or ".." in plain.parts or not name.isprintable():
        raise ModelFileError(f"{index} names {shown(name)}, which is outside of its folder")
    if not shard.resolve().is_relative_to(home):
        raise ModelFileError(
            f"{index}: {shown(name)} is a link to {shard.resolve()}, outside of its folder",
            hint="put the file itself there",
        )
