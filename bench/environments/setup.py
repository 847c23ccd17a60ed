"""What a set of backends takes: their runtimes, and the tools that write the model files that they load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.environments.locate import place
from bench.environments.requirements import Needs, known, needs
from bench.interfaces.errors import UsageError


@dataclass(frozen=True, slots=True)
class Part:
    """One environment of a set-up: what it holds, and the Python that has it already (None: to be made)."""

    needs: Needs
    python: Path | None

    @property
    def here(self) -> bool:
        return self.python is not None


def parts(specs: Iterable[str]) -> list[Part]:
    """The environments for backends `NAME[:VARIANT][==VERSION]`, and for the tools behind their model files,
    each once. Raises UsageError for an unknown name."""
    wanted: dict[str, Needs] = {}
    for spec in specs:
        for one in needed(spec):
            wanted.setdefault(one.spec, one)
    return [Part(one, place(one)) for one in wanted.values()]


def runtimes() -> list[str]:
    """Every backend of this package that is a runtime with requirements of its own, and runs on a CPU."""
    from bench.plugins import backend_registry

    return [name for name in backend_registry.names("runtime") if name in known() and not needs(name).device]


def needed(spec: str) -> Sequence[Needs]:
    """The runtime's, then the tools' behind its model files. Raises UsageError."""
    from bench.plugins import backend_registry
    from bench.plugins.converter_registry import converters

    name, _, version = backend_registry.parse(spec)
    if name not in known():
        raise UsageError(
            f"{name} is brought by another distribution: its requirements are that one's",
            hint=backend_registry.get(name).install,
        )
    backend = backend_registry.get(name)
    kinds = {*backend.formats, *(kind for kinds in backend.quantised.values() for kind in kinds)}
    made = converters()
    pending, seen = [kind for kind in kinds if kind in made], set()
    while pending:
        kind = pending.pop()
        if kind not in seen:
            seen.add(kind)
            pending += made[kind].parents
    tools = sorted({made[kind].tools for kind in seen} - {""})
    return [needs(f"{name}=={version}" if version else name), *map(needs, tools)]
