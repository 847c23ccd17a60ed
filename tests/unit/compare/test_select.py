"""What BASE and NEW name, and how two configurations of a run are paired."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare.commands import written
from bench.compare.comparison import Compared
from bench.compare.judge import results
from bench.compare.results import Results
from bench.compare.select import Runs, both, named, one_run
from bench.compare.within_run import compare_within
from bench.interfaces.errors import StoreError, UsageError
from bench.store.records import RunRecord
from bench.store.sqlite import Store
from bench.suite.configuration import Side, parse_side
from tests.helpers import fake_results as fake
from tests.helpers.fake_results import Ask

IDS = ("20261120-090000", "20261121-090000", "20261121-100000", "20261122-090000")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Four runs; the last was interrupted."""
    path = tmp_path / "s.sqlite"
    with Store.open(path, create=True) as opened:
        for i, run in enumerate(IDS):
            state = "interrupted" if run == IDS[-1] else "finished"
            opened.create_run(RunRecord(run, "quick", state, f"2026-11-2{i}T09:00:00+00:00"))
    return path


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [IDS[2]]),  # a store alone: its latest finished run
        ("::latest", [IDS[2]]),
        ("::latest~1", [IDS[1]]),
        ("::20261120", [IDS[0]]),
        (f"::{IDS[0]},20261121-1", [IDS[0], IDS[2]]),
        ("::*", list(IDS[:3])),
        (f"::{IDS[3]}", [IDS[3]]),  # by its name also one that is not finished
    ],
)
def test_a_store_and_its_runs(store: Path, text: str, ids: list[str]) -> None:
    assert named(f"{store}{text}", Path("elsewhere.sqlite")) == Runs(store, tuple(ids))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("latest", [IDS[2]]),
        ("latest~2", [IDS[0]]),
        ("20261120", [IDS[0]]),
        (f"{IDS[0]}, latest", [IDS[0], IDS[2]]),
    ],
)
def test_runs_of_the_store_that_is_meant(store: Path, text: str, ids: list[str]) -> None:
    assert named(text, store) == Runs(store, tuple(ids))
    assert one_run(text.split(",")[0], store) == ids[0]


@pytest.mark.parametrize("text", ["onnxruntime", "onnxruntime==1.30.0@threads=2,precision=fp32"])
def test_else_a_configuration(store: Path, tmp_path: Path, text: str) -> None:
    assert named(text, store) == parse_side(text)
    assert named(text, tmp_path / "none.sqlite") == parse_side(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("20261121", "20261121-090000, 20261121-100000", ""),
        ("latest~3", "3 finished runs", "bakeoff list runs --store"),
        ("20261120,20261120", "twice", "list runs"),
        ("onnxrutime", "no store file, no run of", "did you mean 'onnxruntime'?"),
        ("20251120", "no store file, no run of", "list runs"),
        ("onnxruntime@threads", "no KEY=VALUE", "NAME[:VARIANT]"),
    ],
)
def test_what_names_nothing_is_a_mistake_with_the_next_step(
    store: Path, text: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        named(text, store)
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_store_that_is_not_there_or_has_no_finished_run(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        named("gone.sqlite", store)
    os.mkfifo(tmp_path / "fifo")  # neither a run's id nor a configuration
    with pytest.raises(StoreError, match=r"fifo: a named pipe \(FIFO\), not a file"):
        named(str(tmp_path / "fifo"), store)
    with pytest.raises(UsageError, match="is no store file"):
        named("x" * 300, store)
    with pytest.raises(StoreError, match="File name too long"):
        named(f"{'x' * 300}.sqlite", store)
    with pytest.raises(StoreError, match="no store at"):
        named("latest", tmp_path / "none.sqlite")
    with Store.open(tmp_path / "b.sqlite", create=True) as opened:
        opened.create_run(RunRecord("r", "quick", "running", "2026-11-22T09:00:00+00:00"))
    with pytest.raises(UsageError, match="no finished run"):
        named(str(tmp_path / "b.sqlite"), store)


def test_both_must_be_of_one_kind_and_share_no_run(store: Path) -> None:
    base, new = both("latest~1", "latest", store)
    assert isinstance(base, Runs)
    assert (base.ids, new) == ((IDS[1],), Runs(store, (IDS[2],)))
    assert isinstance(both("torch", "openvino", store)[0], Side)
    with pytest.raises(UsageError, match=r"'latest' is a run of .* and 'torch' is a configuration"):
        both("latest", "torch", store)
    with pytest.raises(UsageError, match=f"run {IDS[2]} is on both sides"):
        both("latest,latest~1", f"{store}::latest", store)


# Two configurations of one run.

ASKS = [
    Ask("torch", 0.0893),
    Ask("onnxruntime", 0.05, threads=1),
    Ask("onnxruntime", 0.04, threads=2),
    Ask("openvino", 0.0402),
    Ask("openvino", 0.03, precision="int8", ran="int8"),
    Ask("openvino", 0.035, preset="expert"),
    Ask("openvino", 0.0433, precision="fp16", ran="fp32"),
]


@pytest.fixture(scope="module")
def run() -> Results:
    return fake.judged(fake.make("resnet50", ASKS, seed=3) + fake.make("minilm-l6", ASKS[:3], sequence=128))


def compared(run: Results, base: str, new: str) -> Compared:
    return compare_within(run, parse_side(base), parse_side(new), (base, new))


@pytest.mark.parametrize(
    ("base", "new", "ratio", "word", "names"),
    [
        ("torch", "onnxruntime", 0.04 / 0.0893, "faster", ["resnet50 b1 · fp32 · cpu · 2 threads"] * 2),
        ("onnxruntime@threads=2", "onnxruntime@threads=1", 1.25, "slower", ["resnet50 b1 · fp32 · cpu"] * 2),
        ("onnxruntime@threads=1", "onnxruntime", 0.8, "faster", ["resnet50 b1 · fp32 · cpu"] * 2),
        (
            "openvino@precision=fp32,preset=stock",
            "openvino@precision=int8",
            0.75,
            "faster",
            ["resnet50 b1 · cpu · 2 threads"],
        ),
    ],
)
def test_pairs_are_alike_in_what_no_side_names(
    run: Results, base: str, new: str, ratio: float, word: str, names: list[str]
) -> None:
    found = compared(run, base, new)
    assert [one.name.replace("minilm-l6 b1 s128", "resnet50 b1") for one in found.comparisons] == names
    for one in found.comparisons:
        assert one.verdict.word == word
        assert one.verdict.ratio.value == pytest.approx(ratio, rel=0.03)
        assert one.new / one.base == pytest.approx(ratio, rel=0.05)
        assert len(one.logs) == 3
    assert found.looks == (3,)


def test_they_are_paired_by_rounds_of_the_parts_that_they_shared(run: Results) -> None:
    by_id = {row.case.id: row.case for row in run.rows}
    kept = {key: blocks for key, blocks in run.blocks.items() if by_id[key].backend != "onnxruntime"}
    moved = {
        key: [_moved(block) for block in blocks]
        for key, blocks in run.blocks.items()
        if by_id[key].backend == "onnxruntime"
    }
    apart = Results(run.run, run.groups, None, None, {**kept, **{k: tuple(v) for k, v in moved.items()}})
    found = compared(apart, "torch", "onnxruntime").comparisons[0]
    assert found.verdict.word == "not comparable"
    assert "never lived in one part" in found.verdict.reason
    assert found.settle == "bakeoff ab torch onnxruntime --workload resnet50 --batch 1 --threads 2"
    assert not found.judged


def _moved(block: object) -> object:
    return replace(block, part=block.part + 100)  # type: ignore[attr-defined,type-var]


def test_what_did_not_run_as_asked_is_not_compared(run: Results) -> None:
    (one,) = compared(run, "torch", "openvino@precision=fp16").comparisons
    assert one.verdict.word == "not comparable"
    assert one.verdict.reason == "asked for precision fp16, ran fp32 (executed)"
    (other,) = compared(run, "openvino@precision=fp16", "torch").comparisons
    assert "its baseline: asked for precision fp16" in other.verdict.reason


def test_what_differs_besides_the_backend_is_named(run: Results) -> None:
    found = compared(run, "torch", "openvino@precision=int8").differences
    assert [(one.what, one.base, one.new) for one in found] == [("precision", "fp32", "int8")]


@pytest.mark.parametrize(
    ("base", "new", "message", "hint"),
    [
        (
            "openvino@precision=fp32,threads=2,preset=stock",
            "openvino@threads=2",
            "NEW 'openvino@threads=2' could be any of openvino@precision=int8,preset=stock",
            "bakeoff compare openvino@precision=fp32,preset=stock openvino@precision=int8,preset=stock",
        ),
        (
            "onnxruntime",
            "torch@threads=2",
            "BASE 'onnxruntime' could be any of onnxruntime@threads=1, onnxruntime@threads=2",
            "bakeoff compare onnxruntime@threads=1 torch@threads=2",
        ),
        ("torch@threads=8", "torch", "has no case 'torch@threads=8'; it has torch@", "bakeoff show"),
        ("torch", "torch", "both 'torch'", "bakeoff aa torch"),
        ("torch==2.12", "torch", "has no case 'torch==2.12'", "bakeoff show"),
    ],
)
def test_what_is_ambiguous_or_missing_is_a_mistake_with_the_candidates(
    run: Results, base: str, new: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        compared(run, base, new)
    assert message in raised.value.message
    assert hint in raised.value.hint


def with_options(asks: list[tuple[Ask, dict[str, object]]]) -> Results:
    """A run whose cases have options of their backends' own."""
    made = fake.make("resnet50", [ask for ask, _ in asks], seed=4)
    for i, (_, options) in enumerate(asks):
        case = made[i].record.case
        case = replace(case, target=replace(case.target, options=options))
        blocks = tuple(replace(block, case_id=case.id) for block in made[i].blocks)
        made[i] = fake.Made(replace(made[i].record, case=case), blocks)
    return fake.judged(made)


def test_options_must_be_alike_or_named_within_a_backend_and_are_no_common_ground_between_two() -> None:
    plain, arena = Ask("onnxruntime", 0.05), Ask("onnxruntime", 0.04)
    options: dict[str, object] = {"arena": True, "streams": 2}
    run = with_options([(plain, {"streams": 2}), (arena, options), (Ask("torch", 0.09), {"inductor": 1})])
    with pytest.raises(UsageError, match="both 'onnxruntime'"):
        compared(run, "onnxruntime", "onnxruntime")
    (one,) = compared(run, "onnxruntime", "onnxruntime@arena=true").comparisons
    assert one.verdict.ratio.value == pytest.approx(0.8, rel=0.03)
    (other,) = compared(run, "torch", "onnxruntime@arena=true").comparisons
    assert other.verdict.ratio.value == pytest.approx(0.04 / 0.09, rel=0.03)
    with pytest.raises(UsageError, match="could be any of onnxruntime@streams=2, onnxruntime@arena=true,"):
        compared(run, "torch", "onnxruntime")
    for streams in ({"streams": 4}, {}):
        mixed = with_options([(plain, {"streams": 2}), (arena, {"arena": True, **streams})])
        with pytest.raises(UsageError, match="in all that is not named"):
            compared(mixed, "onnxruntime", "onnxruntime@arena=true")


def test_another_precision_that_was_not_asked_for_is_not_comparable(run: Results) -> None:
    (group,) = (group for group in run.groups if "resnet50" in group.title)
    rows = [replace(row, precision_ran="tf32") if row.case.backend == "torch" else row for row in group.rows]
    strayed = replace(run, groups=(replace(group, rows=tuple(rows)),))
    (one,) = compared(strayed, "torch", "onnxruntime@threads=2,precision=fp32").comparisons
    assert one.verdict.reason == "tf32 ran in BASE, fp32 in NEW"


def test_cases_that_are_alike_in_nothing_else_are_no_pair() -> None:
    run = fake.judged(fake.make("resnet50", [Ask("torch", 0.09), Ask("onnxruntime", 0.05, threads=1)]))
    with pytest.raises(UsageError, match="no case of 'torch' is like one of 'onnxruntime'") as raised:
        compared(run, "torch", "onnxruntime")
    assert "torch@threads=2, onnxruntime@threads=1" in raised.value.message
    assert len(compared(run, "torch@threads=2", "onnxruntime").comparisons) == 1


def test_twins_are_compared_where_both_sides_are_the_same(tmp_path: Path) -> None:
    made = fake.make("resnet50", [Ask("torch", 0.09), Ask("torch", 0.0901)], seed=8, replicates=6)
    twin = replace(made[1].record.case, twin="2")
    blocks = [replace(block, case_id=twin.id) for block in made[1].blocks]
    with Store.open(tmp_path / "s.sqlite", create=True) as opened:
        facts = {"suite": {"profile": "ab"}}
        run = opened.create_run(RunRecord("r", "ab", "finished", "2026-11-22T09:00:00+00:00", **facts))
        opened.add_cases(run, [made[0].record, replace(made[1].record, case=twin, baseline=False)])
        opened.add_blocks(run, [*made[0].blocks, *blocks])
        found = compared(results(opened), "torch", "torch")
    (one,) = found.comparisons
    assert len(one.logs) == 6
    assert one.verdict.word in ("equivalent", "inconclusive")
    assert one.settle == ""  # `ab` has been there


def test_a_case_as_it_is_typed_means_that_case(run: Results) -> None:
    for row in run.rows:
        typed = parse_side(written(row.case))
        assert [
            one.case.id for one in run.rows if one.case.group == row.case.group and typed.matches(one.case)
        ] == [row.case.id]
