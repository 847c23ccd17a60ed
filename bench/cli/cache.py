"""`bakeoff cache list|prune`: what is kept, what of it would still be used, and making room."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.cache import lock as cache_lock
from bench.cache.inventory import Holding, drafts, holdings
from bench.cache.prune import Choice, choose, dead_drafts, delete
from bench.files.paths import cache_root, folder_bytes
from bench.interfaces.errors import EXIT_OK, UsageError, did_you_mean
from bench.text import strict_json
from bench.text.numbers import ago, count, file_size

if TYPE_CHECKING:
    from rich.table import Table

MONTH_S = 30 * 86400.0


def command(options: argparse.Namespace) -> int:
    return _list(options) if options.action == "list" else _prune(options)


def _list(options: argparse.Namespace) -> int:
    found, begun = holdings(), drafts()
    half_made = sum(map(folder_bytes, begun))
    total = _size(found) + half_made
    if options.json:
        facts = {"folder": str(cache_root()), "bytes": total, "drafts": len(begun), "draft_bytes": half_made}
        strict_json.say({**facts, "artefacts": [_document(one) for one in found]}, sys.stdout, indent=2)
        return EXIT_OK
    if found:
        from bench.cli.output import console

        console().print(_table(found))
    if any(one.own for one in found):
        print("  (own): of a checkpoint of your own")
    for line in _reasons(found):
        print(f"  {line}")
    if begun:
        print(f"  {file_size(half_made)} half made: at work now, or left by a run that was killed")
    print(f"  {file_size(total)} in {_count(found)}, in {cache_root()}")
    for line in _commands(found):
        print(f"  {line}")
    return EXIT_OK


def _prune(options: argparse.Namespace) -> int:
    choice = _choice(options)
    with ExitStack() as stack:
        if not options.dry_run:
            stack.enter_context(cache_lock.alone())
        found = holdings()
        _require_known(choice.workloads, found)
        goes, needed = choose(found, choice, time.time())
        leftover = dead_drafts()
        if not options.dry_run:
            delete(goes, leftover)
    freed = _size(goes) + sum(size for _, size in leftover)
    kept = _size(found) - _size(goes)
    if options.json:
        facts = {"dry_run": options.dry_run, "bytes": freed, "kept_bytes": kept}
        strict_json.say({**facts, "artefacts": [_document(one) for one in goes]}, sys.stdout, indent=2)
        return EXIT_OK
    for alike in _grouped(goes, lambda one: (_title(one), one.kind, one.state, one.reason)):
        why = f": {alike[0].reason}" if alike[0].reason else ""
        what = f"{_title(alike[0])}: {len(alike)} {alike[0].kind}, {file_size(_size(alike))}"
        print(f"  {what}, {alike[0].state}{why}")
    if needed:
        print(f"  {_count(needed)} kept all the same: what others that stay were made from")
    if leftover:
        print(f"  {len(leftover)} half made, left by a run that was killed")
    verb = "would free" if options.dry_run else "freed"
    print(f"{verb} {file_size(freed)} of {_count(goes)}; {file_size(kept)} stay in {cache_root()}")
    return EXIT_OK


def _choice(options: argparse.Namespace) -> Choice:
    narrowing = options.stale or options.unused is not None or bool(options.workload)
    if options.all and narrowing:
        raise UsageError(
            "--all means everything; --stale, --unused and --workload mean less", hint="leave one out"
        )
    stale = options.stale or not narrowing
    return Choice(stale, options.unused, tuple(options.workload or ()), options.all)


def _require_known(workloads: Iterable[str], found: Sequence[Holding]) -> None:
    known = {one.workload for one in found if one.workload}
    for name in workloads:
        if name not in known:
            raise UsageError(
                f"the cache holds nothing of a workload {name!r}; {did_you_mean(name, known)}".rstrip("; "),
                hint="bakeoff cache list",
            )


def _table(found: Sequence[Holding]) -> Table:
    """Workloads with their kinds, the largest first."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("kept", no_wrap=True, overflow="ellipsis")
    for column, width in (("count", 5), ("size", 7), ("made", 10), ("used", 10)):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    table.add_column("state", no_wrap=True, min_width=len("current"))
    now = time.time()
    for of in _grouped(found, _title):
        table.add_row(_title(of[0]), str(len(of)), file_size(_size(of)), style="bold")
        for alike in _grouped(of, lambda one: (one.kind, one.state)):
            day = datetime.fromtimestamp(max(one.made for one in alike)).strftime("%Y-%m-%d")
            used = ago(now - max(one.used for one in alike))
            cells = (
                f"  {alike[0].kind}",
                str(len(alike)),
                file_size(_size(alike)),
                day,
                used,
                alike[0].state,
            )
            table.add_row(*cells, style="" if alike[0].state == "current" else "yellow")
    return table


def _reasons(found: Sequence[Holding]) -> Iterator[str]:
    """Why what is not current is not."""
    others = [one for one in found if one.state != "current"]
    for alike in _grouped(others, lambda one: (one.state, one.reason)):
        yield f"{alike[0].state}, {file_size(_size(alike))} in {len(alike)}: {alike[0].reason}"


def _commands(found: Sequence[Holding]) -> Iterator[str]:
    """What to type to free what."""
    now = time.time()
    choices = {
        "bakeoff cache prune": (Choice(), "what is stale"),
        "bakeoff cache prune --unused 30d": (Choice(False, MONTH_S), "what no run has used since"),
        "bakeoff cache prune --all": (Choice(everything=True), "all of it"),
    }
    for typed, (choice, what) in choices.items():
        if goes := choose(found, choice, now)[0]:
            yield f"{typed:33} frees {file_size(_size(goes))}: {what}"


def _grouped(found: Sequence[Holding], key: Callable[[Holding], object]) -> list[list[Holding]]:
    """Holdings of one key together, the largest group first."""
    groups: dict[object, list[Holding]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return sorted(groups.values(), key=lambda group: -_size(group))


def _title(one: Holding) -> str:
    return (one.workload or "no known workload") + (" (own)" if one.own else "")


def _count(found: Sequence[Holding]) -> str:
    return count(len(found), "artefact")


def _size(found: Iterable[Holding]) -> int:
    return sum(one.size for one in found)


def _document(one: Holding) -> dict[str, Any]:
    def moment(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

    return {
        "kind": one.kind,
        "key": one.folder.name,
        "workload": one.workload,
        "weights_sha256": one.about.get("weights", ""),
        "facts": dict(one.step.get("facts", {})),
        "versions": dict(one.step.get("versions", {})),
        "bytes": one.size,
        "made": moment(one.made),
        "used": moment(one.used),
        "state": one.state,
        "reason": one.reason,
        "seconds": one.about.get("seconds"),
        "peak_bytes": one.about.get("peak_bytes"),
    }
