"""`python -m bench` is `bakeoff`."""

import sys

from bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
