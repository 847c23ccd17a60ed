"""How PyTorch takes host arrays: compiled code reads memory as its example lay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backends.torch.session import mover
from bench.interfaces.backend import Target

IMAGE = np.random.default_rng(0).standard_normal((2, 3, 4, 5), dtype=np.float32)
LAYOUTS = {
    "gaps": np.repeat(IMAGE, 2, axis=-1)[..., ::2],
    "other order": np.asfortranarray(IMAGE),
    "channels last with gaps": np.repeat(IMAGE.transpose(0, 2, 3, 1), 2, axis=-1)[..., ::2].transpose(
        0, 3, 1, 2
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("variant", "settings", "wanted"),
    [
        ("aoti", {}, torch.contiguous_format),
        ("aoti", {"channels_last": True}, torch.channels_last),
        ("", {"channels_last": True}, torch.channels_last),
    ],
)
def test_it_lies_as_the_example_did(
    layout: str, precision: str, variant: str, settings: dict[str, Any], wanted: torch.memory_format
) -> None:
    target = Target(precision=precision, variant=variant)
    tensor = mover(torch.device("cpu"), target, settings, "float32", 4)(LAYOUTS[layout])
    assert tensor.is_contiguous(memory_format=wanted)
    assert torch.allclose(tensor.float(), torch.from_numpy(IMAGE), atol=0.02)


def test_eager_takes_the_array_itself() -> None:
    tensor = mover(torch.device("cpu"), Target(), {}, "float32", 4)(IMAGE)
    assert tensor.data_ptr() == IMAGE.ctypes.data
