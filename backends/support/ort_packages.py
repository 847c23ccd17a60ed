"""Which distributions of ONNX Runtime are installed: `onnxruntime` and `onnxruntime-gpu` are the same files,
so that where both are installed, whichever came last is there, and removing one breaks the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bench.interfaces.backend import Backend
from bench.interfaces.errors import BackendUnavailable

if TYPE_CHECKING:
    from importlib.metadata import Distribution

BUILDS = ("", "-azure", "-directml", "-gpu", "-openvino", "-qnn", "-rocm", "-training", "-vitisai")


def require_one_package(backend: Backend) -> None:
    """Raises BackendUnavailable where several packages bring the module `onnxruntime`."""
    found = packages()
    if len(found) > 1:
        raise BackendUnavailable(
            f"{backend.name}: {named(found)} are installed in one environment, each over the other",
            hint=f"pip uninstall -y {' '.join(found)}, then install one; or {backend.install}",
        )


def named(found: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {version}" for name, version in found.items()) or "none"


def packages(distributions: Iterable[Distribution] | None = None) -> dict[str, str]:
    """Package → version of all that bring the module `onnxruntime`."""
    from importlib import metadata  # a worker does without

    known = {f"onnxruntime{end}" for end in BUILDS}
    found = metadata.distributions() if distributions is None else distributions
    named = {str(one.name).lower().replace("_", "-"): one.version for one in found}
    return {name: named[name] for name in sorted(known & named.keys())}
