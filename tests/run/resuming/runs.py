"""Small runs that tests interrupt, and what of two of them must be the same."""

from __future__ import annotations

import json

import pandas as pd
import torch

from seisml.config.compose import compose
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from seisml.run.watching.finite_loss import FiniteLoss

SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.batch_size=8",
    "dataset.split_procedure=fixed_test", "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "trainer_params.gpus=[]", "+trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1",
    "trainer_params.max_epochs=3", "figures=false", "resume=auto", "checkpoint.every_n_steps=1",
]  # fmt: skip
PRETRAIN = [
    "configs/ssl.yaml", "model_params.proj_hid=64", "model_params.proj_out=64", "exp_params.model_save_ep_period=2",
    "augmentations=[{NeighboringCrop:{width:auto}},RandomAmplitudeJitter]",
    "exp_params.collapse_record_step_period=3",
]  # fmt: skip
FINETUNE = ["configs/finetune.yaml", "dataset.dev_data_ratio=0.25", "exp_params.knn_acc_record_ep_period=2"]
AVERAGED = [*FINETUNE, "exp_params.ema_decay=0.9"]
STOPPING = [  # nothing is learnt, so that the dev part gets no better
    *FINETUNE, "exp_params.freeze_encoders=true", "exp_params.LR.clf=1e-12", "exp_params.stop_patience=2",
    "trainer_params.max_epochs=9", "dataset.dev_from=train",
]  # fmt: skip
UNLIKE = {"seconds", "paths", "versions"}  # metrics that two equal runs do not share


class Killed(BaseException):
    """Stands for SIGKILL: nothing that a run does reacts to it."""


def configured(store, recipe, folder, *overrides):
    """The YAML of a recipe, and the overrides of a run in this folder."""
    config, *rest = recipe
    own = [f"dataset.root={store}", f"encoder_folder={folder.parent / 'encoders'}", *overrides]
    return config, [*SMALL, *rest, *own]


def go(store, recipe, folder, *overrides):
    return train(compose(*configured(store, recipe, folder, *overrides)), folder)


def kill_at(monkeypatch, step):
    """Let the next run end as its backward pass number ``step`` is due."""
    calls = []

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == step:
            raise Killed

    monkeypatch.setattr(FiniteLoss, "on_before_backward", die)


def outcome(folder):
    """Metrics, weights, history and logged values of a finished run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    checkpoints = {path.stem: read_checkpoint(path) for path in sorted((folder / "checkpoints").glob("*.ckpt"))}
    weights = {(name, key): x for name, values in checkpoints.items() for key, x in values["state_dict"].items()}
    history = checkpoints["last"]["callbacks"]["History"]
    table = pd.read_csv(folder / "metrics.csv")
    return {key: value for key, value in metrics.items() if key not in UNLIKE}, weights, history, table


def assert_same(one, other):
    """Compare two folders of runs to the last bit."""
    (metrics, weights, history, table), others = outcome(one), outcome(other)
    assert metrics == others[0] and history == others[2]
    assert weights.keys() == others[1].keys()
    assert all(torch.equal(value, others[1][name]) for name, value in weights.items())
    pd.testing.assert_frame_equal(table, others[3], check_exact=True)
