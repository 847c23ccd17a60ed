"""What a case asks of a backend, against what it has: refused in the same words by all of them.

Standard library and NumPy alone. A backend outside this repository may use it as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from bench.interfaces import options
from bench.interfaces.backend import EMULATED, Backend, Support, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase, did_you_mean
from bench.interfaces.precision import word
from bench.interfaces.tensors import ModelFile


def given(backend: Backend, model: ModelFile | None) -> ModelFile:
    """The model file, of a backend that takes one. Raises ModelFileError where there is none."""
    if model is None:
        wanted = " or ".join(backend.formats)
        raise ModelFileError(f"{backend.name}: no model file was given", hint=f"prepare one of {wanted}")
    return model


def require(backend: Backend, target: Target, devices: Mapping[str, Mapping[str, Support]]) -> Support:
    """How the target's precision is computed; `devices` is the table that `probe` answers.

    Raises UnsupportedCase where the variant, device or precision is not to be had, or only emulated and
    not asked for as such.
    """
    name, precision = backend.name, target.arithmetic
    if target.variant not in backend.variants:
        raise UnsupportedCase(
            f"{name} has no variant {target.variant!r}",
            hint=did_you_mean(target.variant, [variant for variant in backend.variants if variant]),
        )
    table = devices.get(target.device)
    if table is None:
        raise UnsupportedCase(
            f"{name} has no device {target.device!r} here",
            hint=f"--device {','.join(devices)}, or `bakeoff doctor` for why",
        )
    native = ",".join(p for p, support in table.items() if support.level == "native")
    support = table.get(word(precision))
    if support is None or support.level == "none":
        why = support.why if support else "it knows no such precision"
        raise UnsupportedCase(
            f"{name} does not compute {precision} on {target.device}: {why}", hint=f"--precision {native}"
        )
    if support.level == "emulated" and not target.emulation_allowed:
        raise UnsupportedCase(
            f"{name} only emulates {precision} on {target.device}: {support.why}",
            hint=f"--precision {precision}{EMULATED}",
        )
    return support


def since(
    least: tuple[int, int], capability: tuple[int, int], otherwise: Literal["emulated", "none"] = "none"
) -> Support:
    """Native on GPUs of that compute capability or a later one (CUDA C++ Programming Guide, 'Compute
    capabilities'); both are (major, minor)."""
    if capability >= least:
        return Support("native")
    wanted, has = (".".join(map(str, one)) for one in (least, capability))
    return Support(otherwise, f"native from compute capability {wanted}; this one has {has}")


def settings(backend: Backend, target: Target, known: Collection[str] | None = None) -> dict[str, Any]:
    """The preset's settings with the target's own options over them. Raises UnsupportedCase for others.

    Args:
        known: the names of options, of a backend that learns them from its runtime; else those of its
            `options` for the target's variant and device.
    """
    preset = backend.presets.get(target.preset)
    if preset is None:
        raise UnsupportedCase(
            f"{backend.name} has no preset {target.preset!r}",
            hint=did_you_mean(target.preset, backend.presets),
        )
    if known is None:
        mine = options.of(options.options_of(backend) or {}, target.variant, target.device_kind)
        for mistake in options.mistakes(backend.name, mine, target.options):
            raise UnsupportedCase(mistake)
        # A preset may name options that this variant or device is without.
        kept = {name: value for name, value in preset.settings.items() if name in mine}
        return {**kept, **target.options}
    for option in target.options:
        if option not in known:
            raise UnsupportedCase(
                f"{backend.name} takes no option {option!r}", hint=did_you_mean(option, known)
            )
    return {**preset.settings, **target.options}
