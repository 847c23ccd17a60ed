"""The docs name everything there is, and what they show works."""

import re
import typing
from pathlib import Path

import pytest

from bench.cli.parser import parse
from bench.interfaces.block import Status
from bench.plugins import backend_registry
from bench.plugins import workload_registry as workloads
from bench.suite.suite import Limits, Suite, load_suite
from tools import backend_pages

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SUITES = (ROOT / "docs" / "suites.md").read_text()


def test_every_command_is_in_the_readme_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    commands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert {"run", "list", "doctor", "show", "report", "export"} <= set(commands)
    for command in commands:
        assert f"bakeoff {command}" in README
        with pytest.raises(SystemExit) as ended:
            parse([command, "--help"])
        assert ended.value.code == 0


def test_every_flag_of_prune_is_on_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "cache.md").read_text()
    with pytest.raises(SystemExit):
        parse(["cache", "prune", "--help"])
    flags = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert {"--unused", "--all"} <= set(flags)
    assert [flag for flag in flags if flag not in ("--debug", *re.findall(r"--[a-z-]+", page))] == []


def test_every_axis_of_a_sweep_is_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["run", "--help"])
    flags = re.findall(r"^  (--\w+) LIST", capsys.readouterr().out, re.MULTILINE)
    assert len(flags) == 9
    assert [flag for flag in flags if flag not in README] == []


@pytest.mark.parametrize("key", [*Suite.model_fields, *Limits.model_fields])
def test_every_key_of_a_suite_is_in_its_page(key: str) -> None:
    assert re.search(rf"\b{key}:", SUITES), key


def test_the_example_suite_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", SUITES, re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    assert set(load_suite(path).model_fields_set) == set(Suite.model_fields)


@pytest.mark.parametrize("status", typing.get_args(Status))
def test_every_status_is_explained(status: str) -> None:
    assert f"| `{status}` |" in (ROOT / "docs" / "measurement.md").read_text()


def test_every_workload_and_runtime_is_named() -> None:
    for name in workloads.names():
        assert f"`{name}`" in README
    for name in backend_registry.names("runtime"):
        assert f"[`{name}`](docs/backends/{name}.md)" in README


@pytest.mark.parametrize("name", backend_registry.names("runtime"))
def test_the_page_of_a_backend_says_what_its_code_does(name: str) -> None:
    page = (backend_pages.PAGES / f"{name}.md").read_text()
    assert backend_pages.update(page, name) == page, "python -m tools.backend_pages writes it anew"
    for title in ("How it is run", "What its proof reads", "What it cannot hold"):
        assert f"## {title}\n" in page


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        backend_pages.update("# torch\n", "torch")


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))],
)
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#]+)", path.read_text())
    local = [t for t in targets if not t.startswith("http")]
    assert [t for t in local if not (path.parent / t).exists()] == []


def test_every_extra_that_an_install_command_names_is_there() -> None:
    from importlib.metadata import metadata, requires

    extras = set(metadata("bakeoff").get_all("Provides-Extra") or ())
    assert {"cpu", "prepare", "parquet", "pytest", "dev"} <= extras
    for name in backend_registry.names("runtime"):
        assert backend_registry.get(name).install in (
            f"pip install 'bakeoff[{name}]'",
            f"bakeoff setup {name}",
        )
        needed, *_ = (r.split("==")[0].split(">=")[0] for r in backend_registry.requirements(name))
        assert [
            r
            for r in requires("bakeoff") or ()
            if r.startswith(needed) and f"'{name}'" in r.replace('"', "'")
        ]


def test_every_axis_of_a_case_is_on_the_page_of_outputs() -> None:
    from reports.tables.columns import IDENTITY

    page = (ROOT / "docs" / "output.md").read_text()
    assert [name for name in (*IDENTITY, "not_finite", "case_id") if f"`{name}`" not in page] == []


def test_the_page_says_of_binding_what_the_session_does() -> None:
    """It claimed `IOBinding` for the CPU, where nothing is bound."""
    page = (ROOT / "docs" / "backends" / "onnxruntime.md").read_text()
    session = (ROOT / "backends" / "support" / "ort_session.py").read_text()
    assert ("Nothing is bound on a CPU (`IOBinding`)" in page) == ("binding(" not in session)
