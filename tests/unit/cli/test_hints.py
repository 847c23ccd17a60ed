"""What a person is told to type names the command that was typed."""

from __future__ import annotations

import pytest

from bench.cli import main


@pytest.mark.parametrize("typed", ["run quick", "list cases", "ab torch onnxruntime"])
def test_a_wrong_flag_points_to_the_help_of_its_own_command(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed.split(), "--batch", "0"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].strip() == f"bakeoff {typed.split()[0]} --help"
