"""What tests of several recipes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stores import write_store


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of two classes."""
    return write_store(tmp_path_factory.mktemp("methods") / "store")
