"""The contract itself: what is honest passes, what lies is caught, each by the test that is meant to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from bench.contract.models import Tiny, tiny_model
from bench.contract.suite import BackendContract, Failures
from bench.interfaces.backend import Backend
from tests.contract import fakes


class PlaysBack(BackendContract):
    """The fakes need the reference outputs."""

    def options(self, tiny: Tiny) -> Mapping[str, Any]:
        return {"reference": str(tiny.reference)}


class TestReturnsEarly(PlaysBack):
    backend = fakes.Fake(fakes.ReturnsEarly)
    expected_failures: ClassVar[Failures] = {"test_run_blocks": ("fetch waits instead", AssertionError)}


class TestFixedBuffers(PlaysBack):
    backend = fakes.Fake(fakes.FixedBuffers)


class TestInAProcess(PlaysBack):
    backend = fakes.Fake(fakes.InAProcess)
    loads = 3


def suite_of(held: Backend) -> PlaysBack:
    class Suite(PlaysBack):
        backend = held

    return Suite()


@pytest.fixture(scope="module")
def cnn() -> Tiny:
    return tiny_model("cnn")


@pytest.mark.parametrize(
    ("fake", "test", "says"),
    [
        (fakes.ReturnsEarly, "test_run_blocks", "before the outputs are complete"),
        (fakes.NeverWaits, "test_run_blocks", "sample 0: error"),
        (fakes.FixedBuffersThatBoast, "test_staged_sets_are_honest", "sample 0: error"),
        (fakes.HandsOutItsBuffer, "test_outputs_live_until_the_next_run", "sample 0: error"),
        (fakes.ReadsMemoryAsItLies, "test_inputs_of_any_layout", "sample 0: error"),
        (fakes.Leaks, "test_repeated_loads_do_not_grow", "MiB behind"),
    ],
)
def test_what_lies_is_caught(cnn: Tiny, fake: type[fakes.Wrapper], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(suite_of(fakes.Fake(fake)), test)(cnn)


def test_a_silent_fallback_is_caught(cnn: Tiny) -> None:
    suite = suite_of(fakes.FallsBack())
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_unknown_device_is_refused(cnn, "nonesuch:0")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_unclaimed_precision_is_refused(cnn, "bf16")


def test_a_wrong_output_is_caught(cnn: Tiny) -> None:
    class Wrong(PlaysBack):
        backend = fakes.BACKEND

        def options(self, tiny: Tiny) -> Mapping[str, Any]:
            return {**super().options(tiny), "fault": "wrong"}

    with pytest.raises(AssertionError, match="outside"):
        Wrong().test_outputs_lie_in_the_band(cnn, "fp32")


def test_expected_failures_must_exist() -> None:
    with pytest.raises(TypeError, match="test_nonesuch"):
        type("Mistaken", (BackendContract,), {"expected_failures": {"test_nonesuch": ("", AssertionError)}})
