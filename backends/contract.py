"""The old name of `bench.contract.suite`."""

from __future__ import annotations

from bench.interfaces.renamed import moved

__getattr__ = moved(__name__, "bench.contract.suite")
