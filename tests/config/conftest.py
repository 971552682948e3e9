"""What tests of entry points share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def in_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to run in, with what GIVEN names and without what launchers say."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "STORE").mkdir()
    (tmp_path / "data" / "aknes").mkdir(parents=True)
    for name in ("SEISML_TRACEBACK", "HYDRA_FULL_ERROR", "RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
