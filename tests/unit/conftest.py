"""What several test files of this folder share."""

from __future__ import annotations

import pytest

from tests.unit.kitchen import Kitchen


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    """Small workloads with their model files and bands, each made once a session when a test first asks."""
    return Kitchen(tmp_path_factory.mktemp("kitchen"))
