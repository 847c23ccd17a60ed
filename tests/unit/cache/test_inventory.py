"""What is kept, whether it would still be used, and what is chosen to go."""

from __future__ import annotations

import importlib.metadata
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cache import artefacts
from bench.cache.inventory import CHANGED, GONE, REROUNDED, Holding, State, drafts, holdings, total_bytes
from bench.cache.prune import Choice, choose
from bench.files.paths import folder_bytes
from bench.interfaces.plain import as_dict
from bench.interfaces.workload import traits
from bench.plugins import workload_registry
from bench.plugins.converter_registry import converters
from tests.helpers.cached_bytes import family, put

OWN = "ab" * 32  # a checkpoint's SHA-256
DAY_S = 86400.0
COARSE_S = 1.0  # that a file system's clock may be behind


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def verdicts() -> dict[str, tuple[State, str]]:
    return {one.kind: (one.state, one.reason) for one in holdings()}


def test_an_empty_cache() -> None:
    assert (holdings(), drafts(), total_bytes()) == ([], [], 0)


def test_what_is_made_today_is_current(root: Path) -> None:
    begun = time.time() - COARSE_S
    made = family(idle_s=3 * DAY_S)
    found = {one.kind: one for one in holdings()}
    assert {one.state for one in found.values()} == {"current"}
    assert {one.workload for one in found.values()} == {"minilm-l6"}
    onnx = found["onnx"]
    assert (onnx.sha256, onnx.parents) == (made["onnx"].sha256, {("exported", made["exported"].sha256)})
    assert begun <= onnx.used + 3 * DAY_S <= time.time()
    assert begun <= onnx.made <= time.time()
    assert onnx.size == sum(path.stat().st_size for path in onnx.folder.iterdir())
    assert total_bytes() == sum(one.size for one in found.values())


def test_a_use_is_noted_and_making_is_not_forgotten() -> None:
    made = put("origin", idle_s=40 * DAY_S)
    before, begun = holdings()[0], time.time() - COARSE_S
    artefacts.find("origin", made.folder.name, lambda text: None)
    after = holdings()[0]
    assert before.used < begun - 39 * DAY_S
    assert begun <= after.used <= time.time()
    assert after.made == before.made


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"revision": 0}, "its converter has changed since"),
        ({"facts": {"samples": 8}}, "its converter has changed since"),
        ({"facts": {"samples": 8, "length": 8, "more": 1}}, "its converter has changed since"),
        ({"parents": {}}, "its converter has changed since"),
        ({"another": "fact of a key"}, "its converter has changed since"),
        ({"versions": {"torch": "2.13.0"}}, "its converter has changed since"),
        ({"content": "0" * 16}, CHANGED),
        ({"parents": {"origin": "0" * 64}}, GONE),
    ],
)
def test_what_has_changed_makes_stale(changed: dict[str, Any], reason: str) -> None:
    put("reference", put("origin"), **changed)
    assert verdicts() == {"origin": ("current", ""), "reference": ("stale", reason)}


def test_another_version_of_a_package() -> None:
    now = importlib.metadata.version("numpy")
    put("origin", versions={"torch": "2.0.0", "numpy": now})
    torch = importlib.metadata.version("torch")
    assert verdicts()["origin"] == ("stale", f"made with torch 2.0.0, now {torch}")


def test_a_package_that_is_not_here_cannot_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    family()
    real = importlib.metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without_torch)
    assert set(verdicts().values()) == {("unknown", "torch not installed here")}


def test_a_kind_or_a_workload_that_is_no_more() -> None:
    put("glow")
    put("origin", workload="alexnet")
    assert verdicts() == {
        "glow": ("stale", "no converter makes its kind any more"),
        "origin": ("stale", "no workload is named alexnet here"),
    }


def test_what_descends_from_stale_is_stale() -> None:
    exported = put("exported", put("origin", revision=0))
    put("onnx", exported)
    assert {state for state, _ in verdicts().values()} == {"stale"}


def test_one_of_two_like_parents_is_enough() -> None:
    """Two versions of a package may make the same file."""
    old = put("origin", revision=0, data=b"the same")
    new = put("origin", data=b"the same")
    assert old.sha256 == new.sha256
    put("exported", old)
    assert verdicts()["exported"] == ("current", "")


def test_a_checkpoint_of_the_users_own_is_judged_by_its_hash() -> None:
    put("origin", weights=OWN)
    put("inputs", weights=OWN)
    put("calibration", weights=OWN, about={"workload": "minilm-l6", "weights": "cd" * 32})
    found = {one.kind: one for one in holdings()}
    assert found["origin"].own
    assert (found["origin"].state, found["inputs"].state) == ("current", "current")
    assert (found["calibration"].state, found["calibration"].reason) == ("stale", CHANGED)


def test_artefacts_that_do_not_tell_their_workload() -> None:
    """Those made before manifests named it: found by the content of seeded weights, else by their origin."""
    put("calibration", about={})
    put("inputs", about={})
    put("origin", about={}, workload="resnet50")
    assert {(one.workload, one.state) for one in holdings()} == {
        ("minilm-l6", "current"),
        ("resnet50", "current"),
    }


def test_older_contents_that_do_not_tell_their_workload() -> None:
    put("exported", put("origin", about={}, content="0" * 16), about={}, content="0" * 16)
    put("inputs", about={}, content="0" * 16)
    assert verdicts() == {
        "origin": ("stale", CHANGED),
        "exported": ("stale", CHANGED),
        "inputs": ("unknown", "it may be of a checkpoint of your own"),
    }


@pytest.mark.parametrize("manifest", ["{", "[]", '{"files": {}, "lineage": []}', '{"lineage": [3]}', None])
def test_what_cannot_be_read_is_stale(manifest: str | None) -> None:
    path = put("origin").folder / artefacts.MANIFEST
    if manifest is None:
        path.unlink()
    else:
        path.write_text(manifest)
    assert verdicts() == {"origin": ("stale", "its manifest cannot be read")}


def test_what_bakeoff_did_not_make_is_no_part_of_it(root: Path) -> None:
    """Somebody may name a folder that holds other things besides."""
    put("origin")
    for path in (root / "photos" / ("ab" * 16), root / "builds" / "mine", root / "origin" / ".config.d"):
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"precious")
    assert [one.kind for one in holdings()] == ["origin"]
    assert drafts() == []


BUILD = {
    "backend": "onnxruntime",
    "batch": 1,
    "cpu": "some",
    "format": "onnx",
    "length": None,
    "revision": 1,
    "target": "{}",
    "version": "",
}


def test_what_a_runtime_compiled_is_judged_by_the_runtime_that_is_here() -> None:
    onnx = family()["onnx"]
    here = {"onnxruntime": importlib.metadata.version("onnxruntime")}
    put("builds", onnx, facts=BUILD, versions=here)
    put("builds", onnx, facts={**BUILD, "batch": 2}, versions={"onnxruntime": "1.0"})
    put("builds", onnx, facts={**BUILD, "version": "0.1"}, versions={"onnxruntime": "0.1"})
    put("builds", onnx, facts={**BUILD, "revision": 0}, versions=here)
    states = {
        (one.step["facts"]["batch"], one.step["facts"]["version"], one.step["facts"]["revision"]): one.state
        for one in holdings()
        if one.kind == "builds"
    }
    expected = {(1, "", 1): "current", (2, "", 1): "stale", (1, "0.1", 1): "unknown", (1, "", 0): "stale"}
    assert states == expected


def test_what_is_half_made_counts() -> None:
    draft = artefacts.Draft("origin", artefacts.key_of({"a": 1}))
    (draft.folder / "file").write_bytes(b"half")
    assert drafts() == [draft.folder]
    assert total_bytes() == folder_bytes(draft.folder) == 4
    assert holdings() == []
    draft.discard()


def held(kind: str, *parents: str, **more: Any) -> Holding:
    """A holding whose folder, kind and SHA-256 are one word."""
    step = {"parents": {parent: parent for parent in parents}}
    facts: dict[str, Any] = {"state": "current", "workload": "a"} | more
    return Holding(
        Path(kind), kind, 1, made=0.0, used=facts.pop("used", 0.0), sha256=kind, step=step, **facts
    )


ALL = [
    held("o", used=100.0),
    held("e", "o", used=200.0),
    held("x", "e", workload="b", used=300.0),
    held("s", "o", state="stale", workload="b", used=100.0),
    held("u", state="unknown", workload="", used=400.0),
]


@pytest.mark.parametrize(
    ("choice", "goes", "needed"),
    [
        (Choice(), "s", ""),
        (Choice(everything=True), "oexsu", ""),
        (Choice(stale=False, workloads=("b",)), "xs", ""),
        (Choice(stale=False, workloads=("a",)), "", "oe"),  # `x` was made from them
        (Choice(stale=False, workloads=("a", "b")), "oexs", ""),
        (Choice(stale=False, unused_s=700.0), "oexs", ""),
        (Choice(stale=True, workloads=("a",)), "", ""),
        (Choice(stale=True, unused_s=950.0), "", ""),
        (Choice(stale=True, unused_s=900.0), "s", ""),
        (Choice(stale=False, unused_s=600.0), "oexsu", ""),
        (Choice(stale=False, unused_s=601.0), "oexs", ""),
        (Choice(stale=False, unused_s=800.0), "s", "oe"),
    ],
)
def test_what_is_chosen(choice: Choice, goes: str, needed: str) -> None:
    """All that is said must be true of it; what others that stay were made from stays, unless all goes."""
    found = choose(ALL, choice, now=1000.0)
    assert ["".join(one.kind for one in part) for part in found] == [goes, needed]


def test_what_is_stale_keeps_nothing_and_is_not_kept() -> None:
    old, new = held("o", state="stale", used=500.0), held("o", used=100.0)
    old = replace(old, folder=Path("old"))
    child = held("e", "o", workload="b", used=900.0)
    stale = held("s", "p", state="stale", workload="b", used=900.0)
    parent = held("p")
    found = [old, new, child, stale, parent]
    goes, needed = choose(found, Choice(stale=False, workloads=("a",)), now=1000.0)
    assert (goes, needed) == ([old, parent], [new])


def test_a_recipe_that_has_changed_makes_stale() -> None:
    converter = converters()["onnx-weight"]
    assert converter.recipe is not None
    recipe = as_dict(converter.recipe(traits(workload_registry.get("minilm-l6"))))
    parent = family()["onnx"]
    for rounded in (recipe, {**recipe, "attention": True}):
        put("onnx-weight", parent, facts={"precision": "int4-weight:32", "recipe": rounded})
    found = {one.step["facts"]["recipe"]["attention"]: one for one in holdings() if one.kind == "onnx-weight"}
    assert (found[False].state, found[False].reason) == ("current", "")
    assert (found[True].state, found[True].reason) == ("stale", REROUNDED)
