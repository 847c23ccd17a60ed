"""Plain lines, for output that is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from bench.progress.state import State, artefact_text, prepared_text
from bench.text.numbers import duration
from bench.text.printable import printable


class PlainProgress:
    """One line an artefact made, a part begun, a block done."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._state = State()
        self._start = time.monotonic()

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        self._state.take(event, facts)
        if event == "run":
            refused = len(facts["plan"].refused)
            also = f", {refused} that cannot run here" if refused else ""
            self._say(
                f"run {facts['run'].id}: {len(facts['plan'].cases)} cases{also}; store {facts['store']}"
            )
            for state in self._state.cases.values():
                if state.reason:
                    self._say(f"  {state.status}: {state.case.label}: {state.reason}")
        elif event == "prepare" and facts["state"] not in ("making", "cached"):
            self._say(f"prepare: {artefact_text(facts)}")
        elif event == "prepared":
            self._say(prepared_text(facts))
        elif event == "outlook":
            self._say(f"plan: {facts['text']}")
        elif event in ("wait", "note"):
            self._say(facts["text"])
        elif event == "replicate" and facts["step"].why:
            self._say(f"replicate {facts['step'].replicate + 1}: {facts['step'].why}")
        elif event == "part":
            when = self._state.left_text()
            replicate = f"replicate {facts['replicate'] + 1} of {self._state.replicates}"
            self._say(f"measure: part {facts['part'] + 1} of {facts['parts']} ({replicate}){when}")
        elif event == "block":
            self._block(facts["block"].case_id)

    def _block(self, case_id: str) -> None:
        state = self._state.cases[case_id]
        latency = f"  {duration(state.medians[-1])}" if state.medians else ""
        reason = f": {state.reason}" if state.reason else ""
        self._say(f"  {state.status:12s} {state.case.label}{latency}{reason}")

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:6.1f} s] {printable(text)}", file=self._out, flush=True)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None
