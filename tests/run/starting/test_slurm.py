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

REPO = Path(__file__).resolve().parents[3]
SCRIPT = REPO / "examples" / "slurm" / "train.sbatch"
SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "figures=false", "trainer_params.precision=32-true", "+trainer_params.enable_progress_bar=false",
    "exp_params.model_save_ep_period=-1", "exp_params.LR={encoder:1e-4,clf:1e-4}",
]  # fmt: skip
FINETUNE = ["--config", "configs/finetune.yaml", *SMALL]
TWO_TASKS = [  # Adam would make large steps of rounding errors
    *FINETUNE, "exp_params.optimizer=sgd", "trainer_params.max_epochs=12", "checkpoint.every_n_steps=5",
    "exp_params.model_save_ep_period=2",
]  # fmt: skip
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


def hurry(job, folder):
    """Let a job that is queued again begin soon; SLURM lets it wait for two minutes."""
    wait_for(job, lambda: facts(job)["Reason"] == "BeginTime", folder)
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now+5"], check=True)


def check_went_on(job, folder, signal):
    """A job that a signal stopped once was queued again, went on where it stood, and ended."""
    hurry(job, folder)
    assert wait_for_end(job, folder) == "COMPLETED", said(job, folder)
    words = said(job, folder)
    assert words.count(f"stopped: {signal}; step ") == 1 == words.count("Going on with batch "), words
    assert facts(job)["Restarts"] == "1"


def weights(folder):
    return read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]


def whole(store, folder, *overrides):
    """The same run without SLURM, and without a stop."""
    config, *rest = FINETUNE[1:]
    train(compose(config, [*rest, f"dataset.root={store}", "trainer_params.gpus=[]", *overrides]), folder)
    return weights(folder)


@pytest.fixture(scope="module")
def two_tasks(environment, store, tmp_path_factory):
    """A job of two tasks that nothing met: the folder it was submitted from, and its number."""
    folder = tmp_path_factory.mktemp("two_tasks")
    job = submit(environment, folder, *TWO_TASKS, f"dataset.root={store}", "encoder_folder=encoders")
    assert wait_for_end(job, folder) == "COMPLETED", said(job, folder)
    return folder, job


def test_two_tasks_train_one_model(two_tasks, store, tmp_path):
    """Compared after eight steps: rounding errors grow."""
    folder, job = two_tasks
    words = said(job, folder)
    assert words.count("2 processes share batches of 8 samples (4 each)") == 1, words
    whole(store, tmp_path / "alone", *TWO_TASKS[len(FINETUNE) :], f"encoder_folder={tmp_path}")
    together, alone = (
        read_checkpoint(path)["model_state_dict"]
        for path in (folder / "encoders" / f"Supervised-slurm-{job}-ep2.ckpt", tmp_path / "Supervised-alone-ep2.ckpt")
    )
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(value, together[name], rtol=1e-5, atol=1e-5, msg=name)


def test_two_tasks_that_are_preempted_end_as_two_that_are_not(environment, two_tasks, store, tmp_path):
    """What a cluster that preempts does: SIGTERM, the end of the job, and its place in the queue anew."""
    job = submit(environment, tmp_path, *TWO_TASKS, f"dataset.root={store}", "encoder_folder=encoders")
    run = tmp_path / "runs" / f"slurm-{job}"
    wait_for(job, (run / "checkpoints" / "last.ckpt").is_file, tmp_path)
    subprocess.run(["scontrol", "requeue", job], check=True)
    check_went_on(job, tmp_path, "SIGTERM")
    folder, undisturbed_job = two_tasks
    undisturbed = weights(folder / "runs" / f"slurm-{undisturbed_job}")
    assert all(torch.equal(value, undisturbed[name]) for name, value in weights(run).items())


def test_a_stopped_job_is_queued_again_and_goes_on_where_it_stood(environment, store, tmp_path):
    settings = ["trainer_params.max_epochs=12", "dataset.num_workers=1", "checkpoint.every_n_steps=5"]
    one_task = ["--ntasks-per-node=1"]
    job = submit(environment, tmp_path, *FINETUNE, f"dataset.root={store}", *settings, options=one_task)
    run = tmp_path / "runs" / f"slurm-{job}"
    wait_for(job, (run / "checkpoints" / "last.ckpt").is_file, tmp_path)  # it trains
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    check_went_on(job, tmp_path, "SIGUSR1")
    alone = whole(store, tmp_path / "alone", *settings)
    assert all(torch.equal(value, alone[name]) for name, value in weights(run).items())


def test_an_array_of_runs_from_one_multirun(environment, store, tmp_path):
    """One is preempted, queued again by submitit and goes on where it stood; one fails and is named; one just runs."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra seisml[slurm]")
    settings = ["trainer_params.max_epochs=12", "checkpoint.every_n_steps=5"]
    command = [
        sys.executable, str(REPO / "finetune.py"), "-m", "hydra/launcher=submitit_slurm",
        "hydra.launcher.timeout_min=30", *FINETUNE, f"dataset.root={store}", *settings,
        "exp_params.LR.clf=1e-3,1e30,1e-4", "hydra.sweep.dir=sweep", "resume=auto", "trainer_params.gpus=[]",
    ]  # fmt: skip
    jobs, words = tmp_path / "sweep" / ".submitit", tmp_path / "words"
    with (
        words.open("w") as said_here,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=said_here, stderr=said_here) as multirun,
    ):
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "sweep" / "0" / "checkpoints" / "last.ckpt").is_file():
            assert time.monotonic() < end and multirun.poll() is None, words.read_text()
            time.sleep(0.1)
        (array,) = {path.name.partition("_")[0] for path in jobs.glob("[0-9]*_[0-9]")}
        for name in ("TERM", "USR2"):  # as submitit has it
            subprocess.run(["scancel", f"--signal={name}", f"{array}_0"], check=True)
            time.sleep(0.3)
        hurry(f"{array}_0", tmp_path)
        assert multirun.wait(PATIENCE) == 2, words.read_text()
    lines = [line for line in words.read_text().splitlines() if "error: " in line]
    assert len(lines) == 1 and lines[0].startswith("error: sweep/1: the loss is "), lines
    states = [facts(f"{array}_{number}") for number in range(3)]
    assert [state["JobState"] for state in states] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert [state["Restarts"] for state in states] == ["1", "0", "0"] and states[1]["ExitCode"] == "2:0"
    log = "".join(path.read_text() for path in (jobs / f"{array}_0").glob("*_log.*"))
    assert "Bypassing signal SIGTERM" in log and "this job is preempted" in log, log
    assert log.count("Going on with batch ") == 1, log
    alone = whole(store, tmp_path / "alone", *settings, "exp_params.LR.clf=1e-3")
    assert all(torch.equal(value, alone[name]) for name, value in weights(tmp_path / "sweep" / "0").items())
