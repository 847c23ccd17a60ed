"""The benchmarks' backend of another distribution passes the suite, and does the work that it is told to."""

from __future__ import annotations

from typing import Any

import pytest

from bench.contract.models import Tiny
from bench.contract.suite import BackendContract
from bench.interfaces.backend import Target
from bench.interfaces.errors import UnsupportedCase
from benchmarks.plugin.bakeoff_slowed import BACKEND, SlowedSession


class TestSlowed(BackendContract):
    backend = BACKEND
    target = Target(options={"extra": 20, "session.set_denormal_as_zero": "1"})

    def test_actual_tells_the_extra_work(self, first: Tiny) -> None:
        with self.session(first) as session:
            assert session.actual().settings["extra"] == 20
            assert session.actual().settings["session.set_denormal_as_zero"] == "1"

    @pytest.mark.parametrize("extra", [-1, 1.5, "many", True, None])
    def test_a_wrong_number_of_units_is_refused(self, first: Tiny, extra: Any) -> None:
        with (
            pytest.raises(UnsupportedCase, match="extra=") as caught,
            self.session(first, options={"extra": extra}),
        ):
            pass
        assert caught.value.hint

    def test_every_inference_does_it(self, monkeypatch: pytest.MonkeyPatch, first: Tiny) -> None:
        done: list[int] = []
        monkeypatch.setattr(f"{SlowedSession.__module__}.work", done.append)
        with self.session(first, options={"extra": 7}) as session:
            staged = session.stage(first.inputs(1))
            for _ in range(3):
                session.run(staged)
        assert done == [7, 7, 7]
