"""The old name of `bench.interfaces.backend`."""

from __future__ import annotations

from bench.interfaces.renamed import moved

__getattr__ = moved(
    __name__, "bench.interfaces.tensors", "bench.interfaces.plain", "bench.interfaces.backend"
)
