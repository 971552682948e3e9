from __future__ import annotations

from pathlib import Path

import pytest

from seisml.comparison.compare import compare
from seisml.comparison.plan import Probe, Source
from seisml.datasets.demo.data_module import prepare_demo
from tests.comparison.options import OPTIONS


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_demo(tmp_path_factory.mktemp("compare") / "demo", 5, 8)


@pytest.fixture(scope="session")
def compared(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return compare([Probe.of(f"demo={store}")], [Source.of("self")], OPTIONS, folder / "out")
