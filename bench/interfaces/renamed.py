"""Old names of modules, for plug-ins that were written against them: they work and warn until 0.3."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Collection
from typing import Any


def moved(old: str, *homes: str, names: Collection[str] = ()) -> Callable[[str], Any]:
    """A module's `__getattr__`: the attribute of the first module in `homes` that has it, with a
    DeprecationWarning at the line that imports it; AttributeError where none has it.

    Args:
        names: the only ones that are looked for, where the module is a package whose parts have names too.
    """

    def attribute(name: str) -> Any:
        if not name.startswith("__") and (not names or name in names):
            for home in homes:
                module = importlib.import_module(home)
                if hasattr(module, name):
                    warnings.warn(
                        f"{old}.{name} is {home}.{name} now; the old name goes with bakeoff 0.3",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                    return getattr(module, name)
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    return attribute
