from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
ENTRIES = {
    "sslearn.py": "published_ssl.yaml",
    "finetune.py": "published_finetune.yaml",
    "original_implementation/train.py": "published_original.yaml",
}


def entry_point(script: str, *arguments: str, folder: Path, installed: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("SEISML_TRACEBACK", "PYTHONPATH")}
    if installed:
        environment["PYTHONPATH"] = str(REPO)
    return subprocess.run(
        [sys.executable, str(REPO / script), *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("script", ENTRIES)
def test_flat_yaml_without_data_says_how_to_make_it(script: str, tmp_path: Path) -> None:
    flat = str(REPO / "tests" / "fixtures" / ENTRIES[script])
    done = entry_point(script, "--configs", flat, "trainer_params.max_epochs=1", folder=tmp_path, installed=False)
    assert done.returncode == 2
    error = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(error) == 1 and "data/aknes" in error[0] and "seisml prepare aknes" in error[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sed=1", "unknown key 'sed'; did you mean 'seed'?"),
        pytest.param("exp_params.LRR=1", "unknown key 'exp_params.LRR'; did you mean 'LR'?", marks=pytest.mark.long),
    ],
)  # the second imports PyTorch and what belongs to it, which says nothing on the way
def test_misspelt_key_ends_before_anything_is_made(tmp_path: Path, override: str, words: str) -> None:
    (tmp_path / "data" / "aknes").mkdir(parents=True)  # missing data would be found first: that takes no import
    done = entry_point("sslearn.py", "--config", "configs/ssl.yaml", override, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {override}: {words}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
