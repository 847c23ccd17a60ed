"""Inference runtimes, one file each, behind the interface in `bench.interfaces.backend`."""
