"""What a simulated rate may differ by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rate_error(share: float, n: int) -> float:
    """Four standard deviations of the share of n trials: once in 16,000 by chance, and seeds are fixed."""
    return 4 * math.sqrt(share * (1 - share) / n)


def holds(hits: Sequence[bool], share: float) -> bool:
    """Whether as many trials hit as should, within what chance allows; shown where they did not."""
    found = float(np.mean(hits))
    if abs(found - share) > rate_error(share, len(hits)):
        print(f"{found:.4f} of {len(hits)}, not {share:.4f} ± {rate_error(share, len(hits)):.4f}")
        return False
    return True
