"""Finds workloads: the families of this package, and those that other distributions bring."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Literal

from bench.interfaces.errors import UsageError, did_you_mean
from bench.interfaces.workload import Workload

GROUP = "bakeoff.workloads"
PACKAGE = "workloads"


def names() -> tuple[str, ...]:
    """Every workload's name, sorted; without those of the contract suite."""
    return tuple(sorted(_found()))


def get(name: str) -> Workload:
    """The workload of that name. Raises UsageError with the nearest name."""
    try:
        return _found().get(name) or _unlisted()[name]
    except KeyError:
        known = did_you_mean(name, names())
        raise UsageError(f"no workload is named {name!r}; {known}", hint="bakeoff list workloads") from None


def door(name: str) -> Literal["built-in", "plugin"]:
    """How a workload came in: with this package, or by another distribution."""
    return "built-in" if name in _built_in() or name in _unlisted() else "plugin"


@functools.cache
def _built_in() -> Mapping[str, Workload]:
    found: dict[str, Workload] = {}
    for family in _families():
        _add(found, getattr(family, "WORKLOADS", ()), family.__name__)
    return found


@functools.cache
def _found() -> Mapping[str, Workload]:
    found = dict(_built_in())
    for entry in entry_points(group=GROUP):
        try:
            _add(found, entry.load(), entry.value)
        except (ImportError, AttributeError, TypeError) as error:
            raise UsageError(
                f"the workloads of {entry.value!r} (entry point {entry.name!r}) do not load: {error}",
                hint=f"pip uninstall {entry.dist.name if entry.dist else entry.name}",
            ) from error
    return found


@functools.cache
def _unlisted() -> Mapping[str, Workload]:
    found: dict[str, Workload] = {}
    for family in _families():
        _add(found, getattr(family, "UNLISTED", ()), family.__name__)
    return found


def _families() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
        yield importlib.import_module(f"{PACKAGE}.{module.name}")


def _add(found: dict[str, Workload], tuple_of_workloads: Iterable[Workload], source: str) -> None:
    for workload in tuple_of_workloads:
        if workload.name in found:
            raise UsageError(f"{source} brings a second workload named {workload.name!r}")
        found[workload.name] = workload
