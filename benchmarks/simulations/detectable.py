"""How often a difference as large as the printed least detectable one is found."""

from __future__ import annotations

import numpy as np

from bench.stats.significance import ALPHA, detectable, p_value
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table


def simulate(repeats: int = 800, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    rows = {}
    for replicates in (3, 6, 12, 24):
        logs = noisy.logs(rng, (repeats, replicates))
        printed = float(np.median([least for one in logs if (least := detectable(one)) is not None]))
        found = [
            float(np.mean([p_value(one + np.log1p(share * printed)) < ALPHA for one in logs]))
            for share in (0.5, 1.0, 1.5)
        ]
        rows[str(replicates)] = (printed, *found)
    return Table(
        "replicates",
        dict.fromkeys(["printed", "found: half of it", "all of it", "1.5 times"], PERCENT),
        rows,
    )
