"""The page of the contract's results, from what pytest wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.table import outcomes, page

HERE = """<testsuites><testsuite>
<testcase classname="tests.contract.test_backends.TestTorch" name="test_a"/>
<testcase classname="tests.contract.test_backends.TestTorch" name="test_b">
  <skipped type="pytest.xfail" message="upstream lacks it"/></testcase>
<testcase classname="tests.contract.test_gpus.TestTorchCuda" name="test_a">
  <skipped type="pytest.skip" message="no usable GPU"/></testcase>
<testcase classname="tests.contract.test_backends.TestLiteRt" name="test_a">
  <skipped type="pytest.skip" message="bakeoff env create litert"/></testcase>
<testcase classname="tests.contract.test_fakes" name="test_a"/>
</testsuite></testsuites>"""
THERE = """<testsuites><testsuite>
<testcase classname="test_backends.TestLiteRt" name="test_a"/>
<testcase classname="test_backends.TestLiteRt" name="test_b"><failure message="no"/></testcase>
<testcase classname="test_backends.TestTorch" name="test_a">
  <skipped type="pytest.skip" message="torch is not installed"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize("names", [("a.xml", "b.xml"), ("b.xml", "a.xml")])
def test_each_suite_counts_where_its_runtime_lives(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, text in zip(names, (HERE, THERE), strict=True):
        (tmp_path / name).write_text(text)
    text = "\n".join(page(outcomes(sorted(tmp_path.glob("*.xml")))))
    rows = {
        line.split(" | ")[0]: line.split(" | ")[2:] for line in text.splitlines() if line.startswith("| `")
    }
    assert rows == {
        "| `torch`": ["1", "1", "", " |"],
        "| `torch on cuda`": ["", "", "1", " |"],
        "| `litert`": ["1", "", "", "1 |"],
    }
    assert list(rows) == ["| `torch`", "| `litert`", "| `torch on cuda`"]
    assert "- `torch` `test_b`: upstream lacks it" in text
    assert "- `torch on cuda`: no usable GPU" in text
    assert "env create litert" not in text
