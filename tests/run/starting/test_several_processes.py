"""Runs of several processes end as those of one, and write everything once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import pandas as pd
import pytest
import torch

from seisml.config.compose import compose
from seisml.errors import Stopped, UserError
from seisml.methods.feature_table import FeatureTable
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from seisml.run.watching.finite_loss import FiniteLoss
from seisml.store.store import Store
from tests.stores import write_store

SMALL = [
    "dataset=store", "model_params.backbone_type=SmallResNetEncoder", "dataset.split_procedure=fixed_test",
    "front_end.nperseg=64", "front_end.noverlap=32", "front_end.size=[32,64]",
    "+trainer_params.enable_progress_bar=false", "figures=false", "trainer_params=ddp_cpu", "resume=auto",
]  # fmt: skip
PRETRAIN = [
    "configs/ssl.yaml", "dataset.batch_size=6", "model_params.proj_hid=64", "model_params.proj_out=64",
    "trainer_params.max_epochs=1", "+trainer_params.limit_train_batches=5",
    "augmentations=[{NeighboringCrop:{width:auto}},RandomAmplitudeJitter]", "exp_params.LR=1e-4",
]  # fmt: skip
FINETUNE = [  # the last batch of an epoch is smaller
    "configs/finetune.yaml", "dataset.batch_size=8", "dataset.dev_data_ratio=0.3", "trainer_params.max_epochs=2",
    "exp_params.knn_acc_record_ep_period=1", "exp_params.LR={encoder:1e-4,clf:1e-4}",
]  # fmt: skip
AVERAGED = [*FINETUNE, "exp_params.ema_decay=0.9"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("several") / "store", n_events=40)


def go(store, recipe, folder, n_processes, *overrides):
    config, *rest = recipe
    own = [
        f"dataset.root={store}",
        f"encoder_folder={folder.parent / 'encoders'}",
        f"trainer_params.devices={n_processes}",
    ]
    return train(compose(config, [*SMALL, *rest, *own, *overrides]), folder).metrics


def close(one, other):
    """Compare numbers of metrics to 1e-5, however they are nested."""
    unlike = {"seconds", "paths", "versions"}
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - unlike:
            close(one[key], other[key])
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)
    else:
        assert one == other


@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "n"), [(PRETRAIN, 3), (FINETUNE, 2), (AVERAGED, 2)], ids=["pretrain", "finetune", "averaged"]
)
def test_weights_and_metrics_are_those_of_one_process(store, tmp_path, recipe, n, capfd):
    alone = go(store, recipe, tmp_path / "one", 1)
    capfd.readouterr()
    together = go(store, recipe, tmp_path / "several", n)
    said = capfd.readouterr().out
    assert said.count("Split:") == said.count(f"{n} processes share batches of") == said.count("test/acc") == 1
    close(json.loads(json.dumps(alone)), json.loads(json.dumps(together)))
    one, several = (tmp_path / name for name in ("one", "several"))
    states = [read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (one, several)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        # what a norm takes away again has a gradient of rounding errors, of which Adam makes steps of the learning rate
        is_shift = name.startswith("projector") and name.endswith(("bias", "running_mean"))
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=1e-3 if is_shift else 1e-4, msg=name)
    files = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (one, several)]
    assert files[0] == files[1]
    predictions = pd.read_csv(tmp_path / "several" / "predictions.csv")
    assert len(predictions) == 8 and not predictions["record"].duplicated().any()


@pytest.mark.long
def test_each_process_looks_at_its_share_for_a_frozen_encoder(store, tmp_path, monkeypatch):
    looks, together = [], FeatureTable.of_all_processes

    def counted(table):
        looks.append(len(table.places))
        return together(table)

    monkeypatch.setattr(FeatureTable, "of_all_processes", counted)  # that of the first process
    recipe = [*FINETUNE, "exp_params.freeze_encoders=true"]
    found = [json.loads(json.dumps(go(store, recipe, tmp_path / str(n), n, "dataset.batch_size=6"))) for n in (1, 3)]
    close(*found)
    n_traces = sum(Store(store).n_traces[pd.read_csv(tmp_path / "1" / "split.csv")["part"] != "test"])
    assert looks[0] == n_traces and n_traces / 3 <= looks[1] < n_traces / 2


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_processes(store, tmp_path, monkeypatch):
    """A signal to the second of two processes ends both, and one alone ends the run as if it had done it all."""
    plain = [  # Adam makes large steps of rounding errors
        "exp_params.optimizer=sgd", "exp_params.LR=1e-5",
        "augmentations=[{NeighboringCrop:{width:0.18}},RandomAmplitudeJitter]",
    ]  # fmt: skip
    go(store, PRETRAIN, tmp_path / "one", 1, *plain)
    folder, steps = tmp_path / "two", iter([0, 0, signal.SIGUSR1])
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="SIGUSR1; step [34] is saved") as caught:
        patch.setattr(FiniteLoss, "on_before_backward", lambda *_: tell_the_other(next(steps, 0)))
        go(store, PRETRAIN, folder, 2, *plain)
    assert caught.value.number == signal.SIGUSR1
    go(store, PRETRAIN, folder, 1, *plain)
    states = [read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (tmp_path / "one", folder)]
    for name, value in states[0].items():
        largest = max(1.0, value.abs().max().item())
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=1e-5 * largest, msg=name)


def tell_the_other(number):
    (other,) = multiprocessing.active_children()
    os.kill(other.pid, number)


@pytest.mark.long
def test_a_loss_that_is_not_finite_names_the_samples_of_all_processes(store, tmp_path):
    with pytest.raises(UserError, match="the loss is .* at step .*which .*not_finite.csv lists"):
        go(store, FINETUNE, tmp_path / "run", 2, "exp_params.LR={encoder:1e30,clf:1e30}")
    table = pd.read_csv(tmp_path / "run" / "not_finite.csv")
    assert len(table) == 8 and not table["record"].duplicated().any() and table["step"].nunique() == 1


@pytest.mark.long
def test_batches_that_cannot_be_shared_are_one_line(store, tmp_path):
    with pytest.raises(UserError, match="dataset.batch_size: 2 processes cannot share 7 samples; set 6"):
        go(store, PRETRAIN, tmp_path / "a", 2, "dataset.batch_size=7")
