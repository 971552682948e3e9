"""Two processes that torchrun has started end as one does, and go on with what one has begun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from seisml.config.compose import compose
from seisml.errors import Stopped
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from seisml.run.watching.finite_loss import FiniteLoss
from tests.stores import write_store

REPO = Path(__file__).resolve().parents[3]
SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.split_procedure=fixed_test",
    "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]", "trainer_params=ddp_cpu",
    "+trainer_params.enable_progress_bar=false", "figures=false", "resume=auto", "exp_params.optimizer=sgd",
    "checkpoint.every_n_steps=1",
]  # fmt: skip
PRETRAIN = [
    "dataset.batch_size=6", "model_params.proj_hid=64", "model_params.proj_out=64", "trainer_params.max_epochs=1",
    "+trainer_params.limit_train_batches=5", "exp_params.LR=1e-5",
    "augmentations=[{NeighboringCrop:{width:0.18}},RandomAmplitudeJitter]",
]  # fmt: skip
FINETUNE = [  # the last batch of an epoch is smaller
    "dataset.batch_size=8", "dataset.dev_data_ratio=0.3", "trainer_params.max_epochs=2",
    "exp_params.knn_acc_record_ep_period=1", "exp_params.LR={encoder:1e-3,clf:1e-2}",
]  # fmt: skip

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("torchrun") / "store", n_events=40)


def settings(store, recipe, n_processes):
    return [*SMALL, *recipe, f"dataset.root={store}", f"trainer_params.devices={n_processes}"]


def alone(config, overrides, folder):
    return train(compose(config, [*overrides, f"encoder_folder={folder.parent / 'encoders'}"]), folder)


def torchrun(script, overrides, folder):
    """Let torchrun start two processes; what they say."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]  # what the command torchrun is
    places = [f"hydra.run.dir={folder}", f"encoder_folder={folder.parent / 'encoders'}"]
    command = [sys.executable, *torchrun, str(REPO / script), *overrides, *places]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_close(one, other):
    """Compare the weights of two runs to 1e-5."""
    states = [read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        largest = max(1.0, value.abs().max().item())
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=1e-5 * largest, msg=name)


def test_two_processes_end_as_one_and_write_everything_once(store, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone("configs/finetune.yaml", settings(store, FINETUNE, 1), one)
    said = torchrun("finetune.py", settings(store, FINETUNE, 2), two)
    once = ("Split:", "2 processes share batches of 8 samples (4 each)", "test/acc", f"{two}/metrics.json")
    assert {words: said.count(words) for words in once} == dict.fromkeys(once, 1), said
    assert_close(one, two)
    metrics = [json.loads((run / "metrics.json").read_text()) for run in (one, two)]
    assert metrics[0].keys() == metrics[1].keys()
    for name, value in metrics[0].items():
        if isinstance(value, float):
            assert metrics[1][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    predictions = [pd.read_csv(run / "predictions.csv") for run in (one, two)]
    pd.testing.assert_frame_equal(*predictions, check_exact=False, atol=1e-5)
    files = [{path.relative_to(run) for path in run.rglob("*") if ".hydra" not in path.parts} for run in (one, two)]
    assert files[1] - files[0] <= {Path(".hydra"), Path("finetune.log")} and not files[0] - files[1]


def test_they_go_on_with_what_one_process_has_begun(store, tmp_path, monkeypatch):
    whole, begun, steps = tmp_path / "whole", tmp_path / "begun", iter([0, 0, signal.SIGUSR1])
    alone("configs/ssl.yaml", settings(store, PRETRAIN, 1), whole)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="SIGUSR1; step 3 is saved"):
        patch.setattr(FiniteLoss, "on_before_backward", lambda *_: signal.raise_signal(next(steps, 0)))
        alone("configs/ssl.yaml", settings(store, PRETRAIN, 1), begun)
    said = torchrun("sslearn.py", settings(store, PRETRAIN, 2), begun)
    assert said.count("Going on with batch 4 of epoch 1 (step 3).") == 1, said
    assert_close(whole, begun)
