"""The report: one offline file, escaped, private, and whole without script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.compare.results import Results
from bench.interfaces.errors import BakeoffError
from bench.machine import topology
from bench.text.estimates import interval
from bench.text.numbers import MILLISECONDS
from reports.html import method, views
from reports.html import page as html_page
from reports.palette import DARK
from tests.helpers import fake_results as fake


def folded() -> Results:
    """A sweep over so many batches that their figures are folded."""
    asks = [fake.Ask("<i>jax", 0.2), fake.Ask("<i>jax", 0.1, "int8:qdq", error=0.01)]
    batches = [fake.make("resnet50", asks, seed=b, replicates=1, batch=b) for b in range(1, 9)]
    return fake.judged([one for made in batches for one in made])


MAKERS = [
    fake.realistic,
    fake.twelve,
    fake.nasty,
    fake.single,
    fake.empty,
    fake.judgements,
    fake.on_gpu,
    folded,
]


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of script and style."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.stack: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in ("script", "style"):
            self.stack.append(tag)
            if tag == "script":
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not self.stack:
            self.text += data
        elif self.stack[-1] == "script":
            self.scripts[-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[Results, str, Page]]:
    made = {}
    for make in MAKERS:
        results = make()
        source = html_page.render(results)
        made[make.__name__] = (results, source, Page(source))
    return made


@pytest.mark.parametrize("name", [make.__name__ for make in MAKERS])
def test_nothing_is_fetched(pages: dict[str, tuple[Results, str, Page]], name: str) -> None:
    _, source, page = pages[name]
    for tag, attributes in page.elements:
        for attribute in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            value = attributes.get(attribute, "#")
            assert value.startswith(("#", "data:")), (tag, attribute, value)
    style = re.search(r"<style>(.*?)</style>", source, re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    own = [text for text in page.scripts if len(text) < 200_000]  # all but plotly's own source
    assert not any(word in text for text in own for word in ("fetch(", "XMLHttpRequest", "import("))
    assert len(source.encode()) < 6_000_000


def test_the_policy_allows_these_scripts_and_no_others(pages: dict[str, tuple[Results, str, Page]]) -> None:
    _, _, page = pages["realistic"]
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert "http" not in policy
    attributes = page.all("script")
    for script, kind in zip(page.scripts, attributes, strict=True):
        if kind.get("type") != "application/json":
            assert html_page._hash(script) in policy
    assert page.elements.index(("meta", {"charset": "utf-8"})) < 5
    first_script = next(i for i, (tag, _) in enumerate(page.elements) if tag in ("script", "style"))
    assert any(a.get("http-equiv") for tag, a in page.elements[:first_script] if tag == "meta")


def test_markup_in_a_store_stays_text(pages: dict[str, tuple[Results, str, Page]]) -> None:
    _, source, page = pages["nasty"]
    kinds = [a.get("type", "") for a in page.all("script")]
    assert kinds == ["application/json", "", ""], "the data, plotly, and ours"
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>alert('reason')</script><img src=x onerror=alert(1)> & </script>" in page.words
    assert "&lt;script&gt;alert(" in source
    data = json.loads(page.scripts[0])
    assert set(data) == {"dark", "figures"}
    assert "</" not in page.scripts[0]
    assert "<!--" not in page.scripts[0]


@pytest.mark.parametrize("name", [make.__name__ for make in MAKERS])
def test_answers_and_tables_stand_without_script(
    pages: dict[str, tuple[Results, str, Page]], name: str
) -> None:
    results, _, page = pages[name]
    for group in results.groups:
        sentence = group.answer.removeprefix(f"{group.title}: ")
        assert " ".join(sentence[1:].split()) in page.words
        for row in group.rows:
            assert row.case.backend_spec in page.words
            if row.status != "ok":
                assert row.status in page.words
    assert sum(a.get("class") == "results" for a in page.all("table")) == len(results.groups)
    assert "nan" not in re.findall(r"\w+", page.words.lower())
    assert "None" not in re.findall(r"\w+", page.words.replace("None: every case", ""))


def test_a_number_keeps_its_unit(pages: dict[str, tuple[Results, str, Page]]) -> None:
    _, _, page = pages["realistic"]
    assert "42.8\N{NO-BREAK SPACE}ms" in page.text
    assert "2\N{NO-BREAK SPACE}threads" in page.text


def test_what_the_design_asks_for_is_there(pages: dict[str, tuple[Results, str, Page]]) -> None:
    _, _, page = pages["realistic"]
    order = [a["id"] for a in page.all("section")]
    expected = "answers findings g0 g1 sure figures failures harness method machine reproduce reading"
    assert order == expected.split()
    words = page.words
    for text in (
        "AMD EPYC 7B13 · 2 cores",
        "22 November 2026",
        "412 ns",
        "Segmentation fault",
        "asked for precision fp16, ran fp32",
        "images/s",
        "executed",
        "≤ 7.6e-06",
        "bakeoff run --workload resnet50 --backend openvino --precision fp32 --device cpu --batch 1",
        "1.31.1",
    ):
        assert text in words, text
    assert len(page.all("figure")) == 8
    for figure in page.all("div"):
        if figure.get("class") == "plot":
            assert figure["aria-label"].endswith(".")
    drawn = json.loads(page.scripts[0])["figures"]
    assert set(drawn) == {a["id"] for a in page.all("div") if a.get("class") == "plot"}


def test_batches_have_their_figure_above_their_groups(pages: dict[str, tuple[Results, str, Page]]) -> None:
    results, source, page = pages["folded"]
    ids = [a["id"] for a in page.all("div") if a.get("class") == "plot"]
    assert len(ids) == len(set(ids)) == 1 + 5 * len(results.groups)
    assert set(json.loads(page.scripts[0])["figures"]) == set(ids)
    drawn = source[source.index('id="figures"') :]
    at = [drawn.index(text) for text in ("resnet50 over batches", 'id="s0-batches"', "resnet50 b1<", "b2<")]
    assert at == sorted(at)
    folds = [a for a in page.all("details") if a.get("class") == "fold"]
    assert ["open" in a for a in folds] == [True] + [False] * 7
    assert not [a for a in pages["realistic"][2].all("details") if a.get("class") == "fold"]


def test_a_legend_says_what_colours_and_symbols_stand_for(
    pages: dict[str, tuple[Results, str, Page]],
) -> None:
    _, source, page = pages["folded"]
    legend = re.findall(r'<ul class="legend">(.*?)</ul>', source, re.S)
    assert len(legend) == 1 + 8, "the sweep's, and accuracy of each group"
    assert re.findall(r"</svg>(.*?)</li>", legend[0]) == ["&lt;i&gt;jax", "fp32", "int8:qdq"]
    for style in (a["style"] for a in page.all("svg") if "style" in a):
        found = re.fullmatch(r"color: (#\w+); color: light-dark\((#\w+), (#\w+)\)", style)
        assert found is not None
        assert DARK[found[1]] == DARK[found[2]] == found[3]


def test_how_sure_stands_in_words(pages: dict[str, tuple[Results, str, Page]]) -> None:
    _, _, page = pages["judgements"]
    words = page.words
    for text in (
        "◂ faster",
        "▸ slower",
        "≈ equivalent",
        "? inconclusive",
        "≠ not comparable",
        "−3.3 % to +9.0 %",
        "p .5184",
        "5.6 % a replicate",
        "6 × 10",
        "all 6 replicates",
        "in doubt mostly-disturbed Others disturbed 53 % of the bursts of 1 case",
        "Look: see what runs here",
        "What may settle the inconclusive: bakeoff ab torch tvm",
        "Looked at after 6 replicates.",
        "a second ratio leaves the marked ones out",
    ):
        assert text in words, text
    kinds = [a["class"] for a in page.all("span") if a.get("class", "").startswith("chip")]
    assert {"chip faster", "chip slower", "chip equivalent", "chip open", "chip refused"} <= set(kinds)
    order = [a["id"] for a in page.all("section")]
    assert order.index("answers") < order.index("findings") < order.index("g0") < order.index("sure")


def test_further_figures_with_their_intervals(pages: dict[str, tuple[Results, str, Page]]) -> None:
    results, _, page = pages["realistic"]
    row = next(row for row in results.rows if row.tails["p95"].value)
    assert interval(row.tails["p95"], MILLISECONDS) in page.words
    assert "their 95 % intervals come from resampled processes" in page.words
    heads = [a for a in page.all("table") if a.get("class") == "results dense"]
    assert len(heads) == 4, "further figures and how sure, of two groups"


def test_markup_of_a_finding_stays_text() -> None:
    made = fake.make("resnet50", [fake.Ask("<img src=x>", 0.02), fake.Ask("jax", 0.02)], seed=8)
    made[0].blocks[0].host_ns[3] = 0
    page = Page(html_page.render(fake.judged(made)))
    assert not page.all("img")
    assert "<img src=x> · fp32 · cpu · 2 threads: 1 sample of 0" in page.words.replace(" ", " ")


def test_names_and_paths_of_the_machine_do_not_leave_it() -> None:
    reason = "cannot open /home/alice/models/resnet.onnx on buildhost7 (see /var/tmp/x y/log.txt)"
    made = fake.make("resnet50", [fake.Ask("torch", status="failed", reason=reason, log=f"E: {reason}")])
    machine = fake.MACHINE | {"hostname": "buildhost7", "user": "alice"}
    results = fake.judged(
        made,
        machine=machine,
        command=["run", "--workload", "resnet50", "--weights", "/home/alice/w.pt"],
        notes=["kept under /home/alice/results"],
    )
    page = html_page.render(results)
    for word in ("alice", "buildhost7", "/home", "/var/tmp"):
        assert word not in page.replace(html_page.get_plotlyjs(), ""), word
    assert "resnet.onnx" in page


def test_what_hovers_over_a_figure_is_scrubbed_too() -> None:
    made = fake.make("resnet50", [fake.Ask("torch", 0.02, ran="/home/alice/lib/kernels.so")])
    data = Page(html_page.render(fake.judged(made))).scripts[0]
    assert "kernels.so" in data
    assert "alice" not in data


def test_both_modes_map_every_colour(pages: dict[str, tuple[Results, str, Page]]) -> None:
    """A colour of a figure without a counterpart would be the light one on a dark page."""
    for _, _, page in pages.values():
        data = json.loads(page.scripts[0])
        used = set(re.findall(r"\"(#[0-9a-fA-F]{3,8})\"", json.dumps(data["figures"])))
        assert used <= set(data["dark"])


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    results = fake.empty()
    path = html_page.write(results, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BakeoffError, match="cannot write") as caught:
        html_page.write(results, blocked / "report.html")
    assert caught.value.hint


@pytest.mark.parametrize("make", [fake.realistic, fake.empty])
def test_the_same_results_give_the_same_file(make: Callable[[], Results]) -> None:
    assert html_page.render(make()) == html_page.render(make())


def test_one_slow_row_leaves_the_bars_of_the_others() -> None:
    quick = [fake.Ask(name, 0.010 + 0.001 * i) for i, name in enumerate(("torch", "xla", "tvm", "litert"))]
    (group,) = fake.judged(fake.make("resnet50", [*quick, fake.Ask("iree", 0.5)])).groups
    *bars, slow = [line.bar for line in views.lines(group)]
    assert slow is not None
    assert (slow.value, slow.cut) == (100.0, True)
    for bar in bars:
        assert bar is not None
        assert not bar.cut
        assert 15 < bar.value < 35
        assert bar.low + bar.width <= 100


def test_caches_are_named_as_the_system_tells_them(tmp_path: Path) -> None:
    """Both caches of the first level, which a list of `L1`s does not tell apart."""
    assert dict(method.machine_table(fake.MACHINE))["caches"] == "L1d 32 KiB, L2 512 KiB, L3 32 MiB"
    for number, kind in enumerate(("Data", "Instruction")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{number}"
        folder.mkdir(parents=True)
        for name, text in {"level": "1", "type": kind, "size": "32K"}.items():
            (folder / name).write_text(f"{text}\n")
    machine = {"caches": topology.caches(tmp_path)}
    assert dict(method.machine_table(machine))["caches"] == "L1d 32 KiB, L1i 32 KiB"


def test_kinds_of_cores_are_described_in_words() -> None:
    machine = {"core_kinds": {"cpu_core": 6, "cpu_atom": 8}, "budget": {"cpus": [0, 2], "kind": "cpu_core"}}
    assert dict(method.machine_table(machine)) == {
        "kinds of cores": "cpu_core 6, cpu_atom 8",
        "budget": "cpus 0, 2, kind cpu_core",
    }


def test_a_label_says_where_it_came_from() -> None:
    named = {"label": "gpu box", "label_from": "given"}
    assert method.machine_table(named) == [("label", "gpu box (given by a person)")]
    assert method.machine_table({"label": "gpu box"}) == [("label", "gpu box")]


def test_a_gpu_is_described_in_words() -> None:
    facts = dict(method.machine_table(fake.GPU_MACHINE))
    assert facts["GPUs"] == (
        "NVIDIA H200, compute capability 9.0, 140 GiB, 700 W, measured at most: copy 4.30 TB/s, "
        "fp32 51.0 TFLOP/s, bf16 790 TFLOP/s"
    )
    assert dict(method.machine_table({"gpus": ["?", {"instances": 7}]}))["GPUs"] == "?; a GPU, 7 instances"


def test_rows_on_a_gpu_have_a_table_of_their_own() -> None:
    text = Page(html_page.render(fake.on_gpu())).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "On the GPU: its own clock, memory, clocks and energy" in text
    assert "in doubt: the window lasted 4.2 s; it takes 10" in text
    assert "kernels ran 30 %" in text
    assert "On the GPU" not in Page(html_page.render(fake.realistic())).text
