"""Terminal and page over the same results: no figure and no word differs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from bench.compare.naming import name
from bench.compare.results import Group, Results
from bench.text.numbers import UNTOLD
from reports.html import page
from reports.terminal import run as terminal
from tests.helpers import fake_results as fake


def emulated() -> Results:
    """A row whose precision was emulated, as was asked."""
    asks = [fake.Ask("torch", 0.02), fake.Ask("torch", 0.04, "bf16:emulated", error=0.01, emulated=True)]
    return fake.judged(fake.make("resnet50", asks))


def unverified() -> Results:
    """A row whose outputs could be compared with nothing, the fastest of its group."""
    reason = "there is nothing to compare its outputs with"
    asks = [fake.Ask("torch", 0.02), fake.Ask("tvm", 0.01, status="unverified", reason=reason)]
    return fake.judged(fake.make("resnet50", asks))


MAKERS = [
    *(fake.realistic, fake.twelve, fake.nasty, fake.single, fake.judgements, fake.on_gpu, fake.settled),
    *(emulated, unverified),
]
HEAD = ["Case", "Latency", "Ratio", "Verdict", "Rate", "Memory", "Load", "Error", "Ran"]
OTHERWISE = ("Prepared in", "Measured in", "The null backend takes", "Only the anchor")


class Tables(HTMLParser):
    """The cells of each table, each cell as its pieces of text, and all text of the page."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[list[str]]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append([])

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self.open or "style" in self.open:
            return
        self.text += data
        if ("td" in self.open or "th" in self.open) and (said := " ".join(data.split())):
            self.tables[-1][-1][-1].append(said)


def read(results: Results) -> Tables:
    return Tables(page.render(results))


def on_page(found: Tables, results: Results) -> Iterator[tuple[Group, list[list[list[str]]]]]:
    """Each group with the rows of its first table."""
    own = [table for table in found.tables if table and [cell[0] for cell in table[0] if cell] == HEAD]
    assert len(own) == len(results.groups)
    yield from zip(results.groups, (table[1:] for table in own), strict=True)


def expected(cells: list[list[str]], baseline: bool) -> str:
    """What the page shows of a measured row, in the terminal's columns."""
    _, latency, ratio, verdict, rate, memory, load, error, ran = cells
    shown, around = latency[0].split()[0], latency[1]
    word = "baseline" if baseline else next(text for text in verdict if len(text) > 1 or text == UNTOLD)
    of_ratio = ratio[:1] if ratio[1:] == ["baseline"] else ratio
    size = memory[0].split()[0]
    return " ".join([shown, around, *of_ratio, word, rate[0], size, load[0], error[0], ran[0]])


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the terminal leaves out no column and cuts no sentence."""
    monkeypatch.setattr(terminal, "WIDTH", 2000)


def lines(results: Results) -> list[str]:
    return [" ".join(line.split()) for line in terminal.plain(results, 2000).splitlines()]


@pytest.mark.parametrize("make", MAKERS)
def test_every_row_has_the_same_figures(make: Callable[[], Results], wide: None) -> None:
    results = make()
    printed, found = lines(results), read(results)
    for group, table in on_page(found, results):
        rows = group.in_order()
        assert len(table) == len(rows)
        places = []
        for row, cells in zip(rows, table, strict=True):
            label = " ".join(name(row, rows).split())
            if len(cells) == 2:  # no figure: the word, and why
                line = f"{label} {next(text for text in cells[1] if len(text) > 1)}"
            else:
                line = f"{label} {expected(cells, row.baseline and row.status == 'ok' and row.ranked)}"
            assert line in printed, line
            places.append(printed.index(line, places[-1] + 1 if places else 0))
        assert all(b - a == 1 for a, b in pairwise(places)), "the order of the rows"


@pytest.mark.parametrize("make", MAKERS)
def test_every_sentence_is_on_the_page(make: Callable[[], Results], wide: None) -> None:
    """Answers, reasons, disturbance, findings, what is rough and the command that settles."""
    results = make()
    said = squeezed(read(results).text)
    for line in sentences(results):
        for text in parts(line):
            assert squeezed(text.removesuffix("…")) in said, text  # the terminal cuts what is long


def sentences(results: Results) -> Iterator[str]:
    """The terminal's lines below and above its tables."""
    names = {" ".join(name(row, group.in_order()).split()) for group in results.groups for row in group.rows}
    for line in lines(results):
        tabled = line.startswith("case latency") or set(line) <= {"─", " "}
        if line and not tabled and not any(line.startswith(f"{one} ") and "): " not in line for one in names):
            yield line


def parts(line: str) -> Iterator[str]:
    """What of a line is judged: the frame around it is the terminal's own."""
    if line.startswith(OTHERWISE):
        yield from re.findall(r"\d[\d.,]* (?:min(?: \d+ s)?|s|ms|µs|ns)", line)
    elif line.startswith("Note: "):
        yield line.removeprefix("Note: ").removesuffix(".")
    elif line.startswith("Measuring ended: "):
        for end in line.removeprefix("Measuring ended: ").rstrip(".").split("; "):
            yield end.rpartition(", ")[2] if ", all " in end else end.partition(", ")[2]
    elif found := re.match(r"(?:cannot be|does harm|in doubt): (.*)", line):
        if not found[1].startswith("and "):
            yield found[1]
    elif line.startswith(("look: ", "What may settle the inconclusive: ")):
        yield line.partition(": ")[2]
    elif found := re.match(r".*? \([a-z -]+\): (.*)", line):  # reasons: whose, how it ended, why
        yield found[1]
    elif not line.startswith("Look at this"):
        title, _, answer = line.partition(": ")
        yield from (title, answer) if answer else (line,)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\N{NO-BREAK SPACE}]+", "", text).casefold()
