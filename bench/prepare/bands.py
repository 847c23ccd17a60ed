"""The bands of errors that a precision may show, from runs of the workload's own module in PyTorch:

- fp32: from 0 to FP32_FACTOR times torch fp32's own error on the reference samples, where an error
  under LEAST_ERROR counts as that. The factor leaves room for other summation orders and for Winograd
  convolutions, which lose about a decimal digit.
- bf16, fp16: from the end of the fp32 band, where the precision must begin to show, to REDUCED_FACTOR
  times the error of a torch run with weights and activations in that type.
- integers: the same from a torch run in fp32 that rounds as the scheme does, and no further than half-way
  from its error to 1.
"""

from __future__ import annotations

import math

import numpy as np

from bench.interfaces.workload import Band

FP32_FACTOR = 16.0
REDUCED_FACTOR = 3.0
LEAST_ERROR = 4 * float(np.finfo(np.float32).eps)
MOST_ROUNDED = 0.8  # the error of a rounded run from which on no band is given


def fp32_band(torch_error: float) -> Band:
    """The band of fp32, from the error of a torch fp32 run."""
    rule = (
        f"at most {FP32_FACTOR:g} times the error of torch fp32 itself ({torch_error:.2g}; "
        f"at least {LEAST_ERROR:.2g} is taken)"
    )
    return Band(0.0, FP32_FACTOR * max(torch_error, LEAST_ERROR), rule)


def reduced_band(precision: str, torch_error: float, fp32: Band) -> Band:
    """The band of bf16, fp16 or tf32, from the error of a torch run in that type and the band of fp32.

    Raises ValueError where the type's error cannot be told from fp32's.
    """
    high = REDUCED_FACTOR * torch_error
    if not fp32.high < high < math.inf:
        raise ValueError(
            f"torch's own {precision} run has an error of {torch_error:.2g}: "
            f"no band above fp32's {fp32.high:.2g}"
        )
    rule = (
        f"from the end of fp32's band to {REDUCED_FACTOR:g} times the error of torch with "
        f"{'both sides of products' if precision == 'tf32' else 'weights and activations'} in {precision} "
        f"({torch_error:.2g})"
    )
    return Band(fp32.high, high, rule)


def quantised_band(precision: str, rounded_error: float, fp32: Band) -> Band:
    """The band of an integer precision, from the error of a torch run that rounds as its scheme does.

    Its upper end never reaches 1, the error of outputs that do not answer the input.

    Raises ValueError where the scheme leaves too little of the outputs to tell right from wrong.
    """
    high = min(REDUCED_FACTOR * rounded_error, (1 + rounded_error) / 2)
    if not fp32.high < high or rounded_error > MOST_ROUNDED:
        raise ValueError(
            f"a torch run that rounds as {precision} does has an error of {rounded_error:.2g}: no band "
            f"between fp32's {fp32.high:.2g} and {MOST_ROUNDED}, where outputs no longer answer their inputs"
        )
    rule = (
        f"from the end of fp32's band to {REDUCED_FACTOR:g} times the error of a torch run that rounds as "
        f"{precision} does ({rounded_error:.2g}), at most half-way to an error of 1"
    )
    return Band(fp32.high, high, rule)
