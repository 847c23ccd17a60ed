"""Inference runtimes, a folder each, behind the interface in `bench.interfaces.backend`."""
