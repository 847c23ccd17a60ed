"""What control groups allow: CPU quota and memory, cgroup v1, v2 and both at once. Standard library alone.

A group's limits hold for all below it, so each is the least on the way from this process up to the mount.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bench.machine.topology import ROOT, read_int, read_text

UNBOUNDED = 1 << 60  # v1 writes "no limit" as a number near 2**63
# For a /proc that is masked: where the hierarchies usually lie, and groups that are the mounts themselves, as
# a container sees its own.
USUAL_MOUNTS: tuple[tuple[str, list[str], str, str], ...] = (
    ("cgroup2", [], "/", "/sys/fs/cgroup"),
    ("cgroup", ["cpu"], "/", "/sys/fs/cgroup/cpu"),
    ("cgroup", ["memory"], "/", "/sys/fs/cgroup/memory"),
)
USUAL_GROUPS = "0::/\n1:cpu:/\n2:memory:/"


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPU time allowed per wall time, in CPUs (1.5); None where nothing bounds it."""
    quotas = [quota for folder in group_folders("cpu", root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes; None where no group bounds it."""
    limits = [
        limit
        for folder in group_folders("memory", root)
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := read_int(folder / name)) is not None and 0 < limit < UNBOUNDED
    ]
    return min(limits, default=None)


def quota_folders(root: Path = ROOT) -> tuple[Path, ...]:
    """The groups whose own CPU quota binds this process; their `cpu.stat` counts how long it waited."""
    return tuple(folder for folder in group_folders("cpu", root) if _quota(folder) is not None)


def _quota(folder: Path) -> float | None:
    limit, _, period = read_text(folder / "cpu.max").partition(" ")  # v2: "150000 100000" or "max 100000"
    if not limit:
        limit = read_text(folder / "cpu.cfs_quota_us")  # v1: -1 for none
        period = read_text(folder / "cpu.cfs_period_us")
    try:
        quota = int(limit) / int(period or 100_000)
    except (ValueError, ZeroDivisionError):
        return None
    return quota if quota > 0 else None


def group_folders(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Folders of this process's groups for a controller, each with its parents, over every hierarchy."""
    mounts = list(_mounts(root)) or USUAL_MOUNTS
    for line in (read_text(root / "proc/self/cgroup") or USUAL_GROUPS).splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        unified = number == "0" and not controllers
        if not unified and controller not in controllers.split(","):
            continue
        for kind, options, mount_root, mount in mounts:
            if kind == "cgroup2" if unified else kind == "cgroup" and controller in options:
                yield from _upwards(root / mount.lstrip("/"), path, mount_root)
                break


def _upwards(mount: Path, path: str, mount_root: str) -> Iterator[Path]:
    """From the group at `path` up to the mount, which shows the hierarchy from `mount_root` on."""
    try:
        inside = PurePosixPath(path).relative_to(mount_root)
    except ValueError:  # a container sees its own group as the mount itself
        inside = PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    yield mount / inside
    for parent in inside.parents:
        yield mount / parent


def _mounts(root: Path) -> Iterator[tuple[str, list[str], str, str]]:
    """File system type, super options, root within it and mount point of each control group mount."""
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) > 4 and len(kinds) > 2 and kinds[0] in ("cgroup", "cgroup2"):
            yield kinds[0], kinds[2].split(","), _unescaped(fields[3]), _unescaped(fields[4])


def _unescaped(text: str) -> str:
    """proc(5): space, tab, newline and backslash are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
