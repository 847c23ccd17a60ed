"""Finds converters: a file each, with an attribute `CONVERTER`, in the packages that hold them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from bench.interfaces.converter import Converter
from bench.plugins import backend_registry

SHARED = ("bench.prepare.converters", "backends.formats")
OWN = "formats"  # a package in the folder of a backend


@functools.cache
def converters() -> Mapping[str, Converter]:
    """Kind → converter. No runtime is imported."""
    found: dict[str, Converter] = {}
    for package in _packages():
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
            module = importlib.import_module(f"{package}.{info.name}")
            if converter := getattr(module, "CONVERTER", None):
                found[converter.kind] = converter
    return found


def _packages() -> Iterator[str]:
    yield from SHARED
    for path in sorted(backend_registry.folder().glob(f"*/{OWN}")):
        yield f"{backend_registry.PACKAGE}.{path.parent.name}.{OWN}"
