"""`python -P -m bench.worker`; see `bench.worker.worker`."""

from __future__ import annotations

import sys

from bench.worker.worker import main

main(sys.argv[1:])
