"""The contract's result as a page, from the XML that pytest left in a folder.

python -m tests.contract.table results/contract > docs/contract.md
"""

from __future__ import annotations

import platform
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from bench.environments.locate import find, installed_versions
from bench.machine import fingerprint
from tests.contract.suites import SUITES

RESULTS = "CONTRACT_RESULTS"  # a variable: the folder that the contract's runs leave their XML in
WORDS = {"pytest.skip": "skipped", "pytest.xfail": "xfailed"}


class Outcome(NamedTuple):
    """Of one test: `passed`, `failed`, `skipped` or `xfailed`, and pytest's reason."""

    suite: str
    test: str
    word: str
    reason: str


def outcomes(files: Iterable[Path]) -> dict[str, list[Outcome]]:
    """Suite → its tests, from the run that passed most of them: a runtime may be in one environment alone."""
    best: dict[str, list[Outcome]] = {}
    for file in files:
        here: dict[str, list[Outcome]] = {}
        for case in ElementTree.parse(file).iter("testcase"):
            one = _outcome(case)
            here.setdefault(one.suite, []).append(one)
        for suite, found in here.items():
            if suite in SUITES and _passed(found) >= _passed(best.get(suite, ())):
                best[suite] = found
    return {suite: best[suite] for suite in SUITES if suite in best}


def page(found: dict[str, list[Outcome]]) -> Iterator[str]:
    """Markdown, line by line."""
    yield "# The contract's last result"
    yield ""
    facts, day = fingerprint.fingerprint(), datetime.now(UTC).strftime("%-d %B %Y")
    where = f"{facts['cpu']}, {facts['kernel']}, Python {platform.python_version()}"
    yield f"What `make contract-all` wrote on {day}: {where}. Each backend and variant passes"
    yield "`bench/contract/suite.py` where its runtime lives."
    yield ""
    yield "| backend | version | passed | expected to fail | not for it | failed |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for suite, tests in found.items():
        words = Counter(one.word for one in tests)
        counts = " | ".join(str(words[word] or "") for word in ("passed", "xfailed", "skipped", "failed"))
        version = _version(suite) if _passed(tests) else ""  # where nothing ran, none is known
        yield f"| `{_label(suite)}` | {version} | {counts} |"
    yield ""
    yield from _reasons("Expected to fail, with what is known of it:", found, "xfailed")
    nowhere = {suite: tests[:1] for suite, tests in found.items() if not _passed(tests)}
    yield from _reasons("Not to be had on this machine:", nowhere, "skipped")


def _reasons(title: str, found: dict[str, list[Outcome]], word: str) -> Iterator[str]:
    lines = [(suite, one) for suite, tests in found.items() for one in tests if one.word == word]
    if lines:
        yield title
        yield ""
        for suite, one in lines:
            test = f" `{one.test}`" if word == "xfailed" else ""
            yield f"- `{_label(suite)}`{test}: {one.reason}"
        yield ""


def _outcome(case: ElementTree.Element) -> Outcome:
    suite = case.get("classname", "").rpartition(".")[2]
    test = case.get("name", "")
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome(suite, test, "failed", "")
    skipped = case.find("skipped")
    if skipped is None:
        return Outcome(suite, test, "passed", "")
    return Outcome(suite, test, WORDS[skipped.get("type", "")], skipped.get("message", ""))


def _passed(tests: Iterable[Outcome]) -> int:
    return sum(one.word == "passed" for one in tests)


def _label(suite: str) -> str:
    held = SUITES[suite]
    kind = held.target.device_kind
    name = f"{held.backend.name}:{held.target.variant}" if held.target.variant else held.backend.name
    said = "".join(f", {key}" for key in held.target.options)
    return f"{name}{said}" if kind == "cpu" else f"{name} on {kind}{said}"


def _version(suite: str) -> str:
    name = SUITES[suite].backend.name
    there = find(name)
    return ", ".join(installed_versions(name, there.python if there else None).values())


def main(arguments: list[str]) -> None:
    print("\n".join(page(outcomes(sorted(Path(arguments[0]).glob("*.xml"))))).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
