"""Inference runtimes, one file each, behind the interface in `backends.base`."""
