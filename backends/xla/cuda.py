"""JAX on CUDA: which GPUs it sees and what they compute, and what the kernels tell that ran.

A product of fp32 operands that ask for the `highest` precision is one of fp32. At the default XLA allows TF32
to each of its three ways to make one: cuBLAS (matmul_utils.cc, IsTf32Allowed), cuDNN (allow_tf32 of its
convolutions) and Triton (IsTf32Allowed of its emitter), which then uses it. `high`, JAX's `tensorfloat32`,
allows it to the first two alone.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from backends.support import targets
from backends.support.cuda_kernels import multiplies, named, short
from backends.support.hlo import HIGHEST, Instruction, instructions
from backends.support.profiles import Operation
from backends.xla.profile import Kernel
from backends.xla.program import CHANNELS_FIRST, CHANNELS_LAST, Order
from bench.interfaces.backend import Support
from bench.plugins import runtimes

if TYPE_CHECKING:
    import jax

PLATFORM = "cuda"
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # else JAX takes three quarters of a GPU's memory at once
TRITON = "__triton"
OTHERS = re.compile(r"[^A-Za-z0-9_]")  # what a kernel's name has not, of an instruction's


def built_for() -> str:
    """The CUDA that JAX's plugin here is for (`13`); '' where there is none."""
    names = (f"{one.name} {one.value}" for one in entry_points(group="jax_plugins"))
    return next((found[1] for name in names if (found := re.search(r"cuda(\d*)", name))), "")


def see() -> None:
    """Lets this process see the GPUs besides the platforms that it was started for, which stay the first."""
    import jax

    if not built_for():
        return
    for name, value in SHARED.items():
        os.environ.setdefault(name, value)
    started_for = [name for name in (jax.config.jax_platforms or "").split(",") if name]
    if started_for and PLATFORM not in started_for:
        jax.config.update("jax_platforms", ",".join([*started_for, PLATFORM]))


def gpus() -> tuple[list[jax.Device], str]:
    """The GPUs that JAX sees, or none and why."""
    import jax

    if not built_for():
        return [], "no CUDA plugin of JAX is installed"
    log, heard = logging.getLogger("jax"), _Heard()
    log.addHandler(heard)
    try:
        return list(jax.devices(PLATFORM)), ""
    except (RuntimeError, AssertionError):  # the latter where it was asked for alone, and has no device
        return [], heard.first or "JAX's CUDA plugin finds no GPU"
    finally:
        log.removeHandler(heard)


class _Heard(logging.Handler):
    """What JAX says of a plugin that does not start: it logs the reason, and then knows no such platform."""

    first = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        said = runtimes.first_line(error) if error else record.getMessage().partition("\n")[0]
        if record.levelno >= logging.WARNING:
            self.first = self.first or said


def capability(device: jax.Device) -> str:
    """Of a GPU: `9.0`."""
    return str(device.compute_capability)


def order(capability: str, arithmetic: str) -> Order:
    """How XLA lays out the kernels of convolutions, as jaxlib 0.12 compiles them for 7.5, 8.0 and 9.0."""
    last = {7: ("fp16",), 8: ("bf16", "fp16")}
    major = int(capability.partition(".")[0])
    return CHANNELS_LAST if major >= 9 or arithmetic in last.get(major, ()) else CHANNELS_FIRST


def table(capability: str, integers: dict[str, Support]) -> dict[str, Support]:
    """What a GPU of that compute capability computes."""
    major, minor = map(int, capability.split("."))
    return {
        "fp32": Support("native"),
        "tf32": targets.since((8, 0), (major, minor)),
        "bf16": targets.since((8, 0), (major, minor), "emulated"),
        "fp16": Support("native"),
        **integers,
    }


def operations(text: str, ran: Iterable[Kernel], asked: str) -> tuple[list[Operation], float]:
    """What ran of a module with that text, kernel by kernel.

    Args:
        text: of the optimised HLO.
        asked: the precision of the case: what a product is taken for of which nothing tells it.

    Returns:
        operations, and the share of the products' time in kernels of which nothing tells the arithmetic.
    """
    known = instructions(text)
    own = {OTHERS.sub("_", name): one for name, one in known.items()}
    left = {_left(one) for one in known.values() if one.product}
    anyway = left.pop() if len(left) == 1 else ""
    found, untold = [], 0.0
    for kernel in ran:
        mine, started = own.get(kernel.name), known.get(kernel.instruction)
        if mine is not None:  # a kernel of XLA's own has the name of its instruction
            product, arithmetic = mine.product, _emitted(mine)
        else:
            product, arithmetic = _of_a_library(kernel.name, started, anyway)
        if product and not arithmetic:
            untold += kernel.ns
            arithmetic = asked
        found.append(Operation(short(kernel.name), arithmetic, kernel.ns, product))
    products = sum(one.ns for one in found if one.product)
    return found, untold / products if products else 0.0


def _emitted(one: Instruction) -> str:
    """Of code that XLA made: TF32 is Triton's alone."""
    rounds = one.product and one.precision == "fp32" and one.emitter.startswith(TRITON) and not one.asked
    return "tf32" if rounds else one.precision


def _left(one: Instruction) -> str:
    """The arithmetic that an instruction leaves a library no choice of, or ''."""
    return "" if one.precision == "fp32" and one.asked != HIGHEST else one.precision


def _of_a_library(name: str, started: Instruction | None, anyway: str) -> tuple[bool, str]:
    """Whether a library's kernel multiplies, and in what: as it says, else as its instruction leaves it.

    Within a CUDA graph nobody says which instruction that is (openxla/xprof issue 3070), or the graph's call:
    then it is what all products of the program leave, `anyway`.
    """
    if not multiplies(name) or (started is not None and not started.product):
        return False, ""
    said = named(name)
    attributed = started is not None and not started.kind.startswith("call")
    return True, said or (_left(started) if started and attributed else anyway)
