"""How often A against A is called faster or slower, by how often one looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.stats.estimates import Floats
from bench.stats.significance import ALPHA, p_value
from bench.stats.verdict import judge_together
from bench.suite.profiles import LOOKS
from benchmarks.simulations import noisy
from benchmarks.simulations.table import PERCENT, Table

LEAST = 3


def simulate(repeats: int = 800, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    logs = noisy.logs(rng, (repeats, LOOKS[-1]))
    each, three = range(LEAST, LOOKS[-1] + 1), LOOKS
    return Table(
        "looked at after replicates",
        {"false verdicts": PERCENT},
        {
            "24": (_any(logs, [24], ALPHA),),
            "3, 4, 5 … 24, until p < .05": (_any(logs, each, ALPHA),),
            "6, 12, 24, each at p < .05": (_any(logs, three, ALPHA),),
            "6, 12, 24, a third of α each": (_any(logs, three, ALPHA / len(three)),),
            "the same, and 2 % at least": (_shipped(logs),),
        },
    )


def _any(logs: Floats, looks: Sequence[int], alpha: float) -> float:
    """Share of rows that are under `alpha` at any of the looks."""
    return float(np.mean([any(p_value(one[:n]) < alpha for n in looks) for one in logs]))


def _shipped(logs: Floats) -> float:
    words = [judge_together({"A": list(one)}, 0.02, LOOKS)["A"][0].word for one in logs]
    return float(np.mean([word in ("faster", "slower") for word in words]))
