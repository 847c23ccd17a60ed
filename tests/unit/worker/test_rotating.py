"""Inputs that take turns: each inference has another copy, with the same values, at both boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bench.interfaces.backend import BaseSession, Target
from bench.interfaces.case import Case
from bench.interfaces.errors import UnsupportedCase
from bench.interfaces.tensors import Array, IOSpec, TensorSpec
from bench.worker.kept import Kept
from bench.worker.loops import buffer, device_loop, host_loop
from bench.worker.rotating import Rotating

IO = IOSpec((TensorSpec("x", "float32", (4,)),), (TensorSpec("y", "float32", (4,)),))
STATEFUL = IOSpec(
    (TensorSpec("x", "float32", (4,)), TensorSpec("cache", "float32", (4,))),
    (TensorSpec("y", "float32", (4,)), TensorSpec("next", "float32", (4,))),
    (("next", "cache"),),
)
INPUTS = {"x": np.arange(4, dtype=np.float32)}


class Seen(BaseSession):
    """Stages by reference, and remembers where the arrays lie that it ran on."""

    def __init__(self, staged_sets: int = 64) -> None:
        self.staged_sets = staged_sets
        self.ran: list[int] = []

    def stage(self, inputs: Mapping[str, Array], onto: Any = None) -> dict[str, Array]:
        return {**(onto or {}), **inputs}

    def run(self, staged: Mapping[str, Array]) -> Mapping[str, Array]:
        np.testing.assert_array_equal(staged["x"], INPUTS["x"])
        self.ran.append(staged["x"].ctypes.data)
        return staged

    def fetch(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(outputs)

    def actual(self) -> Any:
        raise NotImplementedError


def test_both_boundaries_take_each_copy_in_turn() -> None:
    session = Seen()
    rotating = Rotating(session, Kept(session, IO, INPUTS), 5)
    host_loop(rotating, rotating.inputs, buffer(10), 0, 10)
    assert len(set(session.ran)) == 5
    assert session.ran[:5] == session.ran[5:]
    session.ran.clear()
    device = rotating.on_device()
    device_loop(device, device.stage(device.inputs), buffer(10), 0, 10)
    assert len(set(session.ran)) == 5
    assert session.ran[:5] == session.ran[5:]


def test_a_decoders_cache_stays_where_it_is() -> None:
    session = Seen()
    cache = np.ones(4, dtype=np.float32)
    rotating = Rotating(session, Kept(session, STATEFUL, {**INPUTS, "cache": cache}), 3)
    assert set(rotating.inputs) == {"x"}
    staged = [rotating.stage({}) for _ in range(3)]
    assert len({one["x"].ctypes.data for one in staged}) == 3
    assert {one["cache"].ctypes.data for one in staged} == {cache.ctypes.data}


@pytest.mark.parametrize(("holds", "hint"), [(4, "--rotate 4"), (1, "leave --rotate out")])
def test_a_session_with_fixed_buffers_says_how_many(holds: int, hint: str) -> None:
    session = Seen(holds)
    with pytest.raises(UnsupportedCase, match="5 were asked to take turns") as caught:
        Rotating(session, Kept(session, IO, INPUTS), 5)
    assert caught.value.hint == hint


def test_it_is_part_of_what_the_case_is() -> None:
    plain = Case("resnet50", "c", 1, None, "torch", Target())
    turned = Case("resnet50", "c", 1, None, "torch", Target(), rotate=8)
    assert plain.id != turned.id
    assert plain.group != turned.group
    assert turned.label.endswith("8 inputs in turns")
