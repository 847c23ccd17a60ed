"""The simulations of docs/method.md: each runs and its claim holds; the page shows what they print."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.simulations import NAMES
from benchmarks.simulations.__main__ import main
from benchmarks.simulations.table import Table

ROOT = Path(__file__).parents[3]
METHOD = (ROOT / "docs" / "method.md").read_text()
SECTIONS = dict(re.findall(r"^## (\d+\. .+?)\n(.*?)(?=^## |\Z)", METHOD, re.MULTILINE | re.DOTALL))
RUN_IT = r"^python -m benchmarks\.simulations (\w+)$"


def first(table: Table, row: str) -> float:
    return table.rows[row][0]


def number(table: Table, row: str, column: str) -> float:
    return table.column(column)[row]


def pairing(t: Table) -> bool:
    return first(t, "one after the other") > 3 * first(t, "in turns")


def cold(t: Table) -> bool:
    kept, left_out = (number(t, row, "mean off by") for row in ("kept", "left out"))
    return kept > 0.004 and abs(left_out) < kept / 2


def warmup(t: Table) -> bool:
    return number(t, "0.2 s", "off by evidence") < 0.02 < 0.3 < number(t, "0.2 s", "off after 3")


def coverage(t: Table) -> bool:
    by_replicate, by_sample = t.column("truth held, unit: replicate"), t.column("sample")
    return all(by_replicate[n] > 0.88 and by_sample[n] < 0.7 for n in by_replicate)


def estimators(t: Table) -> bool:
    return first(t, "all samples: ratio of minima") > 1.8 * first(t, "paired rounds: Hodges-Lehmann")


def rounds(t: Table) -> bool:
    many, few = "rounds 12 %, replicates 0 %", "rounds 3 %, replicates 3 %"
    better = all(number(t, row, "±, chosen") <= max(t.rows[row][2:]) for row in t.rows)
    return better and number(t, many, "rounds chosen") > number(t, few, "rounds chosen")


def looks(t: Table) -> bool:
    return first(t, "3, 4, 5 … 24, until p < .05") > 0.12 > first(t, "6, 12, 24, a third of α each")


def equivalent(t: Table) -> bool:
    false = number(t, "+5%", "equivalent") + number(t, "+5%", "faster") + number(t, "+2%", "faster")
    return false < 0.05 and number(t, "+5%", "slower") > 0.95 and number(t, "+5%", "p ≥ .05 of 3") > 0.4


def detectable(t: Table) -> bool:
    return all(number(t, n, "1.5 times") > number(t, n, "all of it") > 0.65 for n in t.rows)


def many(t: Table) -> bool:
    false = t.column("runs with a false one")
    found = t.column("of the 5: found")
    fewer = false["each on its own"] > 0.4 > 0.2 > false["Benjamini-Hochberg"] >= false["Holm"]
    return fewer and found["Benjamini-Hochberg"] > found["Holm"]


def winner(t: Table) -> bool:
    best, held = t.column("fastest figure is the best"), t.column("named set holds the best")
    return (
        best["3"] < 0.9
        and held["3"] > 0.95
        and number(t, "24", "cases named") < number(t, "3", "cases named")
    )


def gate(t: Table) -> bool:
    equal, slower = "equal, 3 replicates", "8 % slower, 24 replicates"
    return (
        number(t, equal, "regression") < 0.05
        and number(t, equal, "cannot tell") > 0.5
        and number(t, equal, "bare ratio over 1.05") > 0.15
        and number(t, slower, "regression") > 0.95
    )


def tails(t: Table) -> bool:
    by_sample, by_block = t.column("truth held, unit: sample"), t.column("block")
    return all(by_sample[n] < 0.7 and by_block[n] > 0.8 for n in t.rows)


def steady(t: Table) -> bool:
    at_rest = number(t, "40", "at rest")
    return at_rest < 0.15 < 0.4 < number(t, "40", "step of 10 %") < number(t, "40", "step of 20 %")


def disturbed(t: Table) -> bool:
    spread = t.column("sd over runs")
    quiet, dropped = "without the marked rounds: the second figure", "slow bursts dropped, each side its own"
    near = abs(first(t, quiet) - 0.03) < 0.015 < first(t, "all rounds: the headline") - 0.03
    wished = first(t, "measured again until it looks equal") < first(t, "all rounds: the headline")
    return near and wished and spread[quiet] < spread[dropped]


def anchor(t: Table) -> bool:
    one, three = "1 against 1", "3 against 3"
    return (
        number(t, one, "sd: bare latency") > 2 * number(t, one, "ratio to anchor")
        and number(t, three, "false, unit: replicate") > 0.2 > 0.1 > number(t, three, "unit: run")
        and number(t, one, "unit: run") == 0 < number(t, one, "'suspect'")
    )


def narrow(t: Table) -> bool:
    taken = [number(t, row, "replicates") for row in t.rows]
    return (
        taken == sorted(taken)
        and taken[0] < 5 < taken[-1]
        and all(number(t, r, "truth held") > 0.85 for r in t.rows)
    )


CLAIMS: dict[str, tuple[int, Callable[[Table], bool]]] = {
    "pairing": (80, pairing),
    "cold": (80, cold),
    "warmup": (4, warmup),
    "coverage": (100, coverage),
    "estimators": (150, estimators),
    "rounds": (8, rounds),
    "looks": (150, looks),
    "equivalent": (25, equivalent),
    "detectable": (60, detectable),
    "many": (40, many),
    "winner": (50, winner),
    "gate": (30, gate),
    "tails": (30, tails),
    "disturbed": (60, disturbed),
    "steady": (25, steady),
    "anchor": (40, anchor),
    "narrow": (80, narrow),
}


def small(name: str) -> Table:
    table = import_module(f"benchmarks.simulations.{name}").simulate(CLAIMS[name][0])
    assert isinstance(table, Table)
    return table


@pytest.mark.parametrize("name", NAMES)
def test_its_claim_holds(name: str) -> None:
    table = small(name)
    assert CLAIMS[name][1](table), f"\n{table}"
    shown = str(table).splitlines()
    section = next(text for text in SECTIONS.values() if f"simulations {name}\n" in text)
    assert shown[0] in section, "the page shows another table"
    assert [row for row in table.rows if f"\n{row}  " not in section] == []


def test_every_rule_has_a_simulation_and_every_simulation_a_rule() -> None:
    named = {title: re.findall(RUN_IT, text, re.MULTILINE) for title, text in SECTIONS.items()}
    assert [title for title, names in named.items() if len(names) != 1] == []
    assert [name for names in named.values() for name in names] == list(NAMES)
    assert set(CLAIMS) == set(NAMES)


@pytest.mark.parametrize("title", SECTIONS)
def test_every_rule_says_what_why_where_and_whence(title: str) -> None:
    for word in ("Why", "Where", "Source"):
        assert f"**{word}.**" in SECTIONS[title], word


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_it_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To the last digit but one: another processor may round another way."""
    assert main([name]) == 0
    printed = capsys.readouterr().out.splitlines()[1:-1]
    section = next(text for text in SECTIONS.values() if f"simulations {name}\n" in text)
    shown = section.split("```text\n")[1].split("\n```")[0].splitlines()
    numbers = r"[-+]?\d+\.?\d*"
    for there, here in zip(shown, printed, strict=True):
        assert re.sub(numbers, "#", there).split() == re.sub(numbers, "#", here).split()
        pairs = zip(re.findall(numbers, there), re.findall(numbers, here), strict=True)
        assert all(abs(float(a) - float(b)) <= 1.01 * 10.0 ** -len(a.partition(".")[2]) for a, b in pairs), (
            here
        )


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairng"]) == 2
    assert "did you mean 'pairing'?" in capsys.readouterr().err
