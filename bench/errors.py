"""The old name of `bench.interfaces.errors`."""

from __future__ import annotations

from bench.interfaces.renamed import moved

__getattr__ = moved(__name__, "bench.interfaces.errors")
