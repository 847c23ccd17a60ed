"""Ids of cases are for ever: stores hold them."""

from __future__ import annotations

import pytest

from bench.interfaces.backend import Target
from bench.interfaces.case import Case

CONTENT = "c" * 64
GPU = Target("cuda:0", "bf16", 4, "expert", "tensorrt", {"a": 1})
KEPT = {  # as stores of schema 2 hold them
    "7fe533989449": Case("resnet50", CONTENT, 1, None, "torch", Target()),
    "f4314dd59e2d": Case(
        "minilm-l6", CONTENT, 8, 128, "onnxruntime", GPU, version="1.30.0", twin="2", rotate=4
    ),
    "edfe9561e27f": Case("llama-small:decode", CONTENT, 1, None, "tvm", Target(threads=2), context=128),
}


@pytest.mark.parametrize("known", KEPT)
def test_an_id_is_what_it_was(known: str) -> None:
    assert KEPT[known].id == known
