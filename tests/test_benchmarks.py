"""Benchmarks still run, with little to do, and their two sides still give the same numbers; nothing is timed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores import write_store

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
COMMANDS = (
    "attributes.py --traces 8 --length 500 --repeat 1",
    "continuous.py --days 1 --day-seconds 900 --baseline-seconds 300 --skip-seisbench",
    "covariance_forms.py --batch 8 --features 32 --repeats 1",
    "data_path.py --events 4 --batch-size 4 --repeats 1",
    "lanl_csv.py --rows 200000",
    "lanl_features.py --windows 2 --length 30000 --repeat 1",
    "reading.py --seconds 600 --repeats 1",
    "training_step.py --backbone SmallResNetEncoder --projector 64 --batch-size 4 --crop 32 32 --repeats 1",
)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(".")[0])
def test_a_benchmark_runs(command: str, tmp_path: Path) -> None:
    script, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2


@pytest.mark.long
def test_the_epoch_of_any_experiment_is_profiled(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", n_events=20)
    overrides = [
        "+experiment=pairs", "dataset=store", f"dataset.root={store}", "dataset.window_length=4",
        "dataset.batch_size=8", "dataset.views_from=record", "dataset.onset_share=0",
        "trainer_params.limit_train_batches=2",
    ]  # fmt: skip
    command = [sys.executable, str(BENCHMARKS / "epoch_profile.py"), "--threads", "1", *overrides]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SimCLR, batch 8, 1 threads" in done.stdout and "epoch of 2 steps" in done.stdout
    assert "% of its time for its batch" in done.stdout
