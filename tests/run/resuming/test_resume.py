"""A run that was interrupted and resumed ends as one that never was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from seisml.config.compose import compose
from seisml.config.launch import run
from seisml.errors import STOPPED, Stopped, UserError
from seisml.evaluation import figures
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from seisml.run.build import load_method
from seisml.run.checkpoints import read_checkpoint
from seisml.run.loggers import close_logger, open_logger, wandb_id
from seisml.run.resuming.stopping import StopSignals
from seisml.run.watching.finite_loss import FiniteLoss
from tests.run.resuming.runs import (
    AVERAGED,
    FINETUNE,
    PRETRAIN,
    STOPPING,
    Killed,
    assert_same,
    configured,
    go,
    kill_at,
)
from tests.stores import write_store

REPO = Path(__file__).resolve().parents[3]
FROZEN = [
    *FINETUNE, "exp_params.freeze_encoders=true", "trainer_params.accumulate_grad_batches=2",
    "trainer_params.max_epochs=-1", "trainer_params.max_steps=5",
]  # fmt: skip
DYING = """
import os, signal, sys
import seisml.files
from seisml.config.compose import compose
from seisml.run.train import train

replace, saved = os.replace, []

def die(part, path):
    saved.append(path.name == "last.ckpt")
    if sum(saved) == 4:  # the file is whole but has not taken its place
        os.kill(os.getpid(), signal.SIGKILL)
    replace(part, path)

seisml.files.os.replace = die
train(compose(sys.argv[2], sys.argv[3:]), sys.argv[1])
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("resume") / "store", n_events=40, unlabelled=8)


@pytest.mark.parametrize(
    ("recipe", "kills"),
    [
        pytest.param(PRETRAIN, (2, 3, 8), id="pretrain"),
        pytest.param(FINETUNE, (1, 4, 4), id="finetune"),
        pytest.param(FROZEN, (4, 5), id="frozen", marks=pytest.mark.long),
        pytest.param(AVERAGED, (2, 4), id="averaged", marks=pytest.mark.long),
        pytest.param(STOPPING, (4, 4), id="stopped", marks=pytest.mark.long),
    ],
)
def test_killed_again_and_again_it_ends_the_same(store, tmp_path, monkeypatch, capsys, recipe, kills):
    go(store, recipe, tmp_path / "whole")
    folder = tmp_path / "killed"
    for number, step in enumerate(kills):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, step)
            go(store, recipe, folder, f"dataset.num_workers={number % 2}")
    go(store, recipe, folder)
    assert_same(folder, tmp_path / "whole")
    found = read_checkpoint(folder / "checkpoints" / "last.ckpt")["seisml"]["found"]
    assert ("NeighboringCrop.width" in found) == (recipe is PRETRAIN)
    assert found == json.loads((folder / "metrics.json").read_text())["found"]
    accumulated = "16 samples (2 batches of 8); learning rates as set: "
    assert (accumulated in capsys.readouterr().out) == (recipe is FROZEN)


@pytest.mark.long
def test_a_killed_multirun_does_what_is_missing(store, tmp_path, monkeypatch, capsys):
    config, overrides = configured(store, FINETUNE, tmp_path / "run")
    sweep = tmp_path / "sweep"
    jobs = ["-m", *overrides, "trainer_params.max_epochs=1", f"hydra.sweep.dir={sweep}", "seed=0,1,2"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5)  # in the second job; a job takes three steps
        run(config, None, jobs)
    (finished,) = sweep.glob("*/metrics.json")
    written = finished.stat().st_mtime_ns
    capsys.readouterr()
    assert run(config, None, jobs) == 0
    said = capsys.readouterr().out
    assert said.count(f"{finished.parent} is finished") == said.count("Going on with batch 2 of epoch 1") == 1, said
    assert finished.stat().st_mtime_ns == written and len(list(sweep.glob("*/metrics.json"))) == 3


def test_a_run_that_is_killed_while_it_draws_draws_when_it_goes_on(store, tmp_path, monkeypatch, capsys):
    folder, one_step = tmp_path / "run", ["figures=true", "trainer_params.max_epochs=1"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(figures, "save", fail_with(Killed))
        go(store, FINETUNE, folder, *one_step)
    assert go(store, FINETUNE, folder, *one_step).figures
    assert "is finished" not in capsys.readouterr().out
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert {"loss_curves.png", "confusion_matrix.png"} <= drawn, drawn
    go(store, FINETUNE, folder, *one_step)
    assert "is finished" in capsys.readouterr().out


def test_a_picture_that_fails_does_not_cost_the_numbers(store, tmp_path, monkeypatch):
    folder, one_step = tmp_path / "run", ["figures=true", "trainer_params.max_epochs=1"]
    monkeypatch.setattr(figures, "save", fail_with(ValueError))
    with pytest.raises(ValueError):
        go(store, FINETUNE, folder, *one_step)
    assert go(store, FINETUNE, folder, *one_step).metrics["test/n"] == 8


def fail_with(error):
    def fail(*arguments):
        raise error

    return fail


def test_a_signal_ends_the_run_with_its_state_saved(store, tmp_path, monkeypatch, capsys):
    """What a scheduler sends before it takes the machine away; what handled it before goes on with it."""
    folder, handed_on = tmp_path / "stopped", []
    monkeypatch.setattr(FiniteLoss, "on_before_backward", lambda *_: [signal.raise_signal(one) for one in numbers])
    before = signal.signal(signal.SIGUSR2, lambda number, _: handed_on.append(number))
    seldom = "checkpoint.every_n_steps=null"
    try:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            numbers = iter([number])
            with pytest.raises(Stopped, match=f"{number.name}; step . is saved in .*last.ckpt; .*resume=auto goes on"):
                go(store, FINETUNE, folder, seldom, "dataset.num_workers=1")
        assert handed_on == [signal.SIGUSR2] and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR2, before)
    monkeypatch.undo()
    go(store, FINETUNE, folder, seldom)
    go(store, FINETUNE, tmp_path / "whole", seldom)
    assert_same(folder, tmp_path / "whole")


def test_ctrl_c_ends_the_run_and_tells_how_it_goes_on(store, tmp_path, monkeypatch, capsys):
    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    config, overrides = configured(store, FINETUNE, folder)
    before = signal.getsignal(signal.SIGINT)  # Lightning ignores further ones
    with monkeypatch.context() as patch:
        patch.setattr(FiniteLoss, "on_before_backward", interrupt)
        assert run(config, None, [*overrides, f"hydra.run.dir={folder}"]) == 130
    signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert f"step 2 is saved in {folder / 'checkpoints' / 'last.ckpt'}; resume={folder} goes on there" in said.out
    assert said.err.strip().endswith("interrupted")
    assert run(config, None, [f"resume={folder}"]) == 0


def test_a_signal_that_a_launcher_takes_saves_the_state_and_the_run_goes_on(store, tmp_path, monkeypatch):
    """As under submitit: SLURM queues a job again that it had to kill, and not one that ends by itself."""
    folder, taken, steps = tmp_path / "run", [], []
    last = folder / "checkpoints" / "last.ckpt"

    def step(*arguments):
        steps.append(last.is_file())
        if len(steps) == 3:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(FiniteLoss, "on_before_backward", step)
    before = signal.signal(signal.SIGTERM, lambda number, _: taken.append(number))
    try:
        go(store, FINETUNE, folder, "checkpoint.every_n_steps=null")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert taken == [signal.SIGTERM] and steps == [False] * 3 + [True] * 6


def test_a_signal_at_another_time_ends_the_run_at_once(capsys):
    with pytest.raises(Stopped, match="SIGTERM; what was saved before stays"), StopSignals():
        signal.raise_signal(signal.SIGTERM)
    refuse = signal.signal(signal.SIGUSR2, lambda *_: [][0])
    try:
        with pytest.raises(UserError, match="stopped: SIGUSR2.*what started the job did not do so"), StopSignals():
            signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, refuse)
    assert run("configs/ssl.yaml", stop, ["dataset=demo"]) == STOPPED == 75
    assert capsys.readouterr().err.startswith("stopped: SIGUSR1; ")


def stop(cfg, folder):
    """Stands for training that a signal meets."""
    with StopSignals():
        signal.raise_signal(signal.SIGUSR1)


@pytest.fixture(scope="module")
def killed(store, tmp_path_factory):
    """A run of fine-tuning that a real SIGKILL met while it saved its fourth checkpoint."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    config, overrides = configured(store, FINETUNE, folder)
    command = [sys.executable, "-c", DYING, str(folder), config, *overrides]
    assert subprocess.run(command, cwd=REPO, capture_output=True).returncode == -signal.SIGKILL
    return folder


def test_a_checkpoint_that_is_being_written_leaves_the_one_before(store, killed, tmp_path, capsys):
    folder = shutil.copytree(killed, tmp_path / "moved")
    assert len(list((folder / "checkpoints").iterdir())) == 3  # best.ckpt, last.ckpt, and what was being written
    go(store, FINETUNE, folder)
    assert "Going on with batch 1 of epoch 2 (step 3)." in capsys.readouterr().out
    go(store, FINETUNE, tmp_path / "whole")
    assert_same(folder, tmp_path / "whole")
    written = (folder / "metrics.json").stat().st_mtime_ns
    assert go(store, FINETUNE, folder).metrics["test/n"] == 8  # what is finished is not done again
    assert (folder / "metrics.json").stat().st_mtime_ns == written
    assert "is finished (metrics.json is there): nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("exp_params.LR.clf=0.5", "exp_params.LR.clf 0.5 (not 0.001)"),
        ("+trainer_params.max_steps=9", "trainer_params.max_steps 9 (not None)"),
        ("dataset.batch_size=4", "dataset.batch_size 4 (not 8)"),
    ],
)
def test_other_settings_are_refused(store, killed, tmp_path, override, words):
    folder = shutil.copytree(killed, tmp_path / "run")
    with pytest.raises(UserError, match="was trained with other settings") as caught:
        go(store, FINETUNE, folder, override)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_other_data_and_a_damaged_checkpoint_are_refused(store, killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "run")
    others = write_store(tmp_path / "others", n_events=30)
    with pytest.raises(UserError, match="its records are not those that .* was trained on"):
        go(others, FINETUNE, folder)
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:10_000])
    with pytest.raises(UserError, match="damaged or truncated.*or remove it, and the run begins anew"):
        go(store, FINETUNE, folder)


def test_a_run_goes_on_though_the_module_of_its_method_has_moved(store, tmp_path, monkeypatch):
    folder, short = tmp_path / "run", [*PRETRAIN, "trainer_params.max_epochs=1"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 3)
        go(store, short, folder)
    last = folder / "checkpoints" / "last.ckpt"
    values = read_checkpoint(last)
    method = values["seisml"]["config"]["model_params"]
    assert method["_target_"] == "seisml.methods.self_supervised.vnibcreg.VNIbCReg"
    method["_target_"] = "seisml.methods.vnibcreg.VNIbCReg"
    torch.save(values, last)
    assert isinstance(load_method(last), VNIbCReg)
    go(store, short, folder)
    go(store, short, tmp_path / "whole")
    assert_same(folder, tmp_path / "whole")


def test_wandb_knows_a_run_by_one_name(tmp_path):
    assert wandb_id(tmp_path) == wandb_id(tmp_path)
    (tmp_path / "wandb_id").write_text("../other")
    with pytest.raises(UserError, match="is not the id of a wandb run"):
        wandb_id(tmp_path)


@pytest.mark.long
def test_a_resumed_run_goes_on_in_its_wandb_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    cfg = compose("configs/finetune.yaml", ["dataset=store", f"dataset.root={tmp_path}", "logger=wandb"])
    names = []
    for _ in range(2):  # begun, and resumed: offline, each leaves a folder
        logger = open_logger(cfg, tmp_path)
        names.append((logger.experiment.id, logger.experiment.settings.resume))
        close_logger(logger)
        time.sleep(1.1)  # the folders are named by the second
    assert names == [(wandb_id(tmp_path), "allow")] * 2
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{wandb_id(tmp_path)}"))) == 2
