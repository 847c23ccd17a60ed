"""What the cache holds, and what of it would still be used.

An artefact is `current` if this version of bakeoff, with the packages installed here, would make it under the
very key that it has. It is `stale` if its key can no longer come about: its converter, the definition of its
workload or a package has changed since, or what it was made from is gone or stale itself. Where that cannot
be judged it is `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.cache import artefacts as cache
from bench.environments.locate import interpreter, tools, versions_of
from bench.files import paths
from bench.files.paths import folder_bytes, statuses
from bench.interfaces.converter import Converter
from bench.interfaces.errors import BakeoffError
from bench.interfaces.plain import as_dict
from bench.interfaces.workload import content_hash, traits
from bench.plugins import workload_registry
from bench.plugins.converter_registry import converters
from bench.text import strict_json

State = Literal["current", "stale", "unknown"]
Verdict = tuple[State, str]

KEY_FACTS = tuple(cache.KeyFacts.__annotations__)
GONE = "what it was made from is gone"
REROUNDED = "its quantiser rounds other tensors since"
CHANGED = "its workload's definition has changed since"


@dataclass(frozen=True, slots=True)
class Holding:
    """A folder of the cache: an artefact.

    Attributes:
        workload: '' where that cannot be told.
        size: bytes.
        made, used: when, in seconds since the epoch. A use is a run that asked for it.
        sha256: of its main file.
        step: how it was made, as its lineage has it: what its key was made of, and more.
        about: `workload`, `weights` (SHA-256 of the user's checkpoint or ''), `seconds` and `peak_bytes` that
            making it took; empty for one made before these were noted.
        reason: why it is not current.
    """

    folder: Path
    kind: str
    size: int
    made: float
    used: float
    sha256: str = ""
    step: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False
    workload: str = ""
    state: State = "unknown"
    reason: str = ""

    @property
    def own(self) -> bool:
        """Whether it descends from a checkpoint of the user's own."""
        return bool(self.about.get("weights"))

    @property
    def parents(self) -> set[tuple[str, str]]:
        """Kind and SHA-256 of what it was made from."""
        return set(self.step.get("parents", {}).items())


def holdings() -> list[Holding]:
    """All that is kept, judged."""
    root = paths.cache_root()
    artefacts = [found for folder in sorted(root.glob(f"*/{cache.ARTEFACTS}")) if (found := _read(folder))]
    return judged(artefacts)


def drafts() -> list[Path]:
    """Folders in which something is being made, or was when its maker was killed."""
    return [folder for kind in converters() for folder in (paths.cache_root() / kind).glob(cache.DRAFTS)]


def total_bytes() -> int:
    """Size of all that is kept."""
    return sum(map(folder_bytes, (*paths.cache_root().glob(f"*/{cache.ARTEFACTS}"), *drafts())))


def judged(found: Sequence[Holding]) -> list[Holding]:
    """The artefacts with their workload and state. Plain data but for what is installed and defined here."""
    today = _Today()
    made: dict[tuple[str, str], list[Holding]] = {}
    for holding in found:
        made.setdefault((holding.kind, holding.sha256), []).append(holding)
    known: dict[Path, Verdict] = {}

    def judge(one: Holding) -> Verdict:
        if one.folder not in known:
            known[one.folder] = "stale", "it descends from itself"
            known[one.folder] = today.judge(one) or of_parents(one)
        return known[one.folder]

    def of_parents(one: Holding) -> Verdict:
        for parent in sorted(one.parents):
            verdicts = [judge(holding) for holding in made.get(parent, ())]
            states = {state for state, _ in verdicts}
            if not verdicts:
                return "stale", GONE
            if "current" not in states:
                return ("unknown" if "unknown" in states else "stale"), verdicts[0][1]
        return "current", ""

    return [
        replace(one, workload=today.workload(one), state=state, reason=reason)
        for one in found
        for state, reason in [judge(one)]
    ]


class _Today:
    """What is defined and installed now, looked up once."""

    def __init__(self) -> None:
        self._contents = {
            content_hash(workload_registry.get(name)): name for name in workload_registry.names()
        }
        self._versions: dict[tuple[str, Path | None], str] = {}

    def workload(self, one: Holding) -> str:
        return str(one.about.get("workload", "")) or self._contents.get(one.step.get("content", ""), "")

    def judge(self, one: Holding) -> Verdict | None:
        """None where nothing but its parents can speak against it."""
        converter, step = converters().get(one.kind), one.step
        if not step:
            return "stale", "its manifest cannot be read"
        if converter is None:
            return "stale", "no converter makes its kind any more"
        names = [(step["facts"], converter.axes)]
        if not converter.open:
            names += [(step["parents"], converter.parents), (step["versions"], converter.distributions)]
        same = all(set(had) == set(has) for had, has in names)
        key = cache.key_of({name: step[name] for name in KEY_FACTS})
        if step["revision"] != converter.revision or not same or key != one.folder.name:
            return "stale", "its converter has changed since"
        if converter.open and _revision(step["facts"]["backend"]) != step["facts"]["revision"]:
            return "stale", "its backend has changed since"
        python = self._python(converter, step["facts"])
        verdicts = self._definition(one), self._recipe(one, converter)
        return next(filter(None, verdicts), None) or self._packages(step["versions"], python)

    def _python(self, converter: Converter, facts: Mapping[str, Any]) -> Path | None:
        """Of the environment where it would be made; None where there is none."""
        try:
            if not converter.open:
                return tools(converter.tools)
            return interpreter(facts["backend"], facts["version"] or None)
        except BakeoffError:
            return None

    def _definition(self, one: Holding) -> Verdict | None:
        name, content = str(one.about.get("workload", "")), one.step["content"]
        if not name:
            if content in self._contents:
                return None
            return ("stale", CHANGED) if one.seeded else ("unknown", "it may be of a checkpoint of your own")
        if name not in workload_registry.names():
            return "stale", f"no workload is named {name} here"
        same = content_hash(workload_registry.get(name), one.about["weights"]) == content
        return None if same else ("stale", CHANGED)

    def _recipe(self, one: Holding, converter: Converter) -> Verdict | None:
        name = self.workload(one)
        if converter.recipe is None or name not in workload_registry.names():
            return None
        recipe = converter.recipe(traits(workload_registry.get(name)))
        return None if one.step["facts"]["recipe"] == as_dict(recipe) else ("stale", REROUNDED)

    def _packages(self, versions: Mapping[str, str], python: Path | None) -> Verdict | None:
        now = {name: self._installed(name, python) for name in versions}
        missing = [name for name, version in now.items() if not version]
        if missing:
            return "unknown", f"{', '.join(missing)} not installed here"
        changed = [f"{name} {had}, now {now[name]}" for name, had in versions.items() if had != now[name]]
        return ("stale", f"made with {'; '.join(changed)}") if changed else None

    def _installed(self, name: str, python: Path | None) -> str:
        key = name, python
        if key not in self._versions:
            try:
                self._versions[key] = versions_of([name], python)[name] if python else ""
            except BakeoffError:
                self._versions[key] = ""
        return self._versions[key]


def _revision(backend: str) -> int | None:
    """Of what the backend builds today; None where there is no such backend."""
    from bench.plugins import backend_registry

    return backend_registry.get(backend).revision if backend in backend_registry.names() else None


def _read(folder: Path) -> Holding | None:
    """None for a folder that only looks like an artefact."""
    files = list(statuses(folder))
    size, newest = sum(file.st_size for file in files), max((file.st_mtime for file in files), default=0.0)
    kind = folder.parent.name
    try:
        manifest = strict_json.loads((folder / cache.MANIFEST).read_text())
        step = {**dict.fromkeys(KEY_FACTS), **manifest["lineage"][0]}
        return Holding(
            folder,
            kind,
            size,
            made=max(record["mtime_ns"] for record in manifest["files"].values()) * 1e-9,
            used=(folder / cache.MANIFEST).stat().st_mtime,
            sha256=manifest["files"][manifest["main"]]["sha256"],
            step={**step, **{name: dict(step[name]) for name in ("facts", "versions", "parents")}},
            about=dict(manifest.get("about", {})),
            seeded=str(manifest["lineage"][-1].get("weights", "")).startswith("seed:"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Holding(folder, kind, size, newest, newest) if kind in converters() else None
