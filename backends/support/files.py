"""Files that several model files share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def place(source: Path, target: Path) -> None:
    """The same file at another path: one copy of the weights on the disk serves programs of all shapes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
