"""Jobs of a real SLURM: two tasks that train together, a job that is stopped and goes on, an array of runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from seisml.config.compose import compose
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from tests.stores import write_store

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / "examples" / "slurm" / "train.sbatch"
SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "figures=false", "trainer_params.precision=32-true", "+trainer_params.enable_progress_bar=false",
    "exp_params.model_save_ep_period=-1", "exp_params.LR={encoder:1e-4,clf:1e-4}",
]  # fmt: skip
FINETUNE = ["--config", "configs/finetune.yaml", *SMALL]
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
PATIENCE = 240  # seconds

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def environment():
    """What jobs need to know; skips where there is no SLURM."""
    if shutil.which("sbatch") is None:
        pytest.skip("needs SLURM: sbatch is not installed")
    if subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode:
        pytest.skip("needs SLURM: sinfo does not answer (is SLURM_CONF set, slurmctld running?)")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # python of the script
    return {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", "PATH": path}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("slurm") / "store")


def submit(environment, folder, *arguments, options=()):
    """Hand the job script to SLURM; the number of the job."""
    command = ["sbatch", "--parsable", *options, str(SCRIPT), str(REPO / "finetune.py"), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def facts(job):
    """What SLURM says of a job."""
    command = ["scontrol", "--oneliner", "show", "job", job]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def wait_for(job, found, folder):
    """Wait until something is found."""
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, (facts(job), said(job, folder))
        time.sleep(0.5)


def said(job, folder):
    path = folder / f"slurm-{job}.out"
    return path.read_text() if path.is_file() else ""


def wait_for_end(job, folder):
    wait_for(job, lambda: facts(job)["JobState"] in ENDED, folder)
    return facts(job)["JobState"]


def weights(folder):
    return read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]


def whole(store, folder, *overrides):
    """The same run without SLURM, and without a stop."""
    config, *rest = FINETUNE[1:]
    train(compose(config, [*rest, f"dataset.root={store}", "trainer_params.gpus=[]", *overrides]), folder)
    return weights(folder)


def test_two_tasks_train_one_model(environment, store, tmp_path):
    epochs = "trainer_params.max_epochs=2"
    job = submit(environment, tmp_path, *FINETUNE, f"dataset.root={store}", epochs)
    assert wait_for_end(job, tmp_path) == "COMPLETED", said(job, tmp_path)
    assert said(job, tmp_path).count("2 processes share batches of 8 samples (4 each)") == 1, said(job, tmp_path)
    together = weights(tmp_path / "runs" / f"slurm-{job}")
    for name, value in whole(store, tmp_path / "alone", epochs).items():
        torch.testing.assert_close(value, together[name], rtol=1e-4, atol=1e-4, msg=name)


def test_a_stopped_job_is_queued_again_and_goes_on_where_it_stood(environment, store, tmp_path):
    settings = ["trainer_params.max_epochs=12", "dataset.num_workers=1", "checkpoint.every_n_steps=5"]
    one_task = ["--ntasks-per-node=1"]
    job = submit(environment, tmp_path, *FINETUNE, f"dataset.root={store}", *settings, options=one_task)
    run = tmp_path / "runs" / f"slurm-{job}"
    wait_for(job, (run / "checkpoints" / "last.ckpt").is_file, tmp_path)  # it trains
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_for(job, lambda: facts(job)["Reason"] == "BeginTime", tmp_path)
    sooner = ["scontrol", "update", f"JobId={job}", "StartTime=now+5"]  # SLURM lets it wait for two minutes
    subprocess.run(sooner, check=True)
    assert wait_for_end(job, tmp_path) == "COMPLETED", said(job, tmp_path)
    words = said(job, tmp_path)
    assert words.count("stopped: SIGUSR1; step ") == 1 == words.count("Going on with batch "), words
    assert facts(job)["Restarts"] == "1"
    alone = whole(store, tmp_path / "alone", *settings)
    assert all(torch.equal(value, alone[name]) for name, value in weights(run).items())


def test_an_array_of_runs_from_one_multirun_says_which_failed(environment, store, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra seisml[slurm]")
    command = [
        sys.executable, str(REPO / "finetune.py"), "-m", "hydra/launcher=submitit_slurm",
        "hydra.launcher.timeout_min=10", *FINETUNE, f"dataset.root={store}", "trainer_params.max_epochs=1",
        "exp_params.LR.clf=1e-3,1e30,1e-4", "hydra.sweep.dir=sweep", "resume=auto", "trainer_params.gpus=[]",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if "error: " in line]
    assert len(lines) == 1 and lines[0].startswith("error: sweep/1: the loss is "), done.stderr
    finished = {path.parent.name for path in (tmp_path / "sweep").glob("*/metrics.json")}
    assert finished == {"0", "2"}
    (array,) = {path.name.partition("_")[0] for path in (tmp_path / "sweep" / ".submitit").glob("[0-9]*_[0-9]")}
    assert [facts(f"{array}_{number}")["JobState"] for number in range(3)] == ["COMPLETED", "FAILED", "COMPLETED"]
