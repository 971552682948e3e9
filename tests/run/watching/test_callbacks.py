from __future__ import annotations

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.evaluation.collapse import collapse_monitors
from seisml.methods.base import Method
from seisml.methods.langet import StackedTraceClassifier
from seisml.methods.self_supervised.barlow_twins import BarlowTwins
from seisml.methods.supervised import Supervised
from seisml.run.watching.finite_loss import FiniteLoss
from seisml.run.watching.monitors import CollapseMonitor, monitors, probe_rows
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from tests.stores import SAMPLING_RATE, write_store

SMALL = {"backbone_type": "SmallResNetEncoder"}
WATCHED = {"probe/knn_acc", "collapse/effective_rank", "collapse/feature_std", "collapse/off_diagonal_correlation"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("callbacks") / "store")


def build(recipe, data, **kwargs):
    data.setup()
    front_end = SpectrogramFrontEnd(nperseg=64, noverlap=32, size=(32, 64), floor=1e-3, sampling_rate=SAMPLING_RATE)
    return recipe(facts=data.facts, front_end=front_end, **kwargs)


def logged(method, data, **kwargs):
    run = pl.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, use_distributed_sampler=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, **{"callbacks": monitors(method)} | kwargs,
    )  # fmt: skip
    run.fit(method, datamodule=data)
    return run.callback_metrics


def test_pretraining_is_probed_and_watched_by_default(root):
    data = StoreDataModule(str(root), batch_size=8, is_ssl=True)
    augmentations = [{"RandomCrop": {"width": 0.18}}]
    method = build(BarlowTwins, data, augmentations=augmentations, proj_hid=64, proj_out=64, **SMALL)
    values = logged(method, data)
    assert set(values) >= WATCHED and all(torch.isfinite(values[name]) for name in WATCHED)


def test_supervised_methods_are_probed_and_watched_where_asked(root):
    data = StoreDataModule(str(root), batch_size=8)
    assert monitors(build(Supervised, data, **SMALL)) == []
    asked = {"knn_acc_record_ep_period": 1, "collapse_record_step_period": 2}
    assert set(logged(build(Supervised, data, **SMALL, **asked), data)) >= WATCHED
    data = StoreDataModule(str(root), batch_size=8, return_single_spectrogram_train=False)
    method = build(StackedTraceClassifier, data, backbone_with_clf_type="ResNet18", **asked)
    assert set(logged(method, data, limit_train_batches=1)) >= WATCHED


def test_a_method_without_an_encoder_is_not_watched(root):
    assert monitors(build(Method, StoreDataModule(str(root)), knn_acc_record_ep_period=1)) == []


def test_monitors_see_what_the_encoder_gave_first_on_the_chosen_steps(root):
    data = StoreDataModule(str(root), batch_size=8)
    method = build(Supervised, data, collapse_record_step_period=3, **SMALL)
    seen, values = [], []
    method.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    method.log_dict = lambda found, **kwargs: values.append(found)
    (monitor,) = monitors(method)
    assert isinstance(monitor, CollapseMonitor)
    x = torch.randn(5, 2, 1, 32, 64, generator=torch.Generator().manual_seed(0))
    for step in range(4):
        monitor.on_train_batch_start(None, method, None, step)
        for view in x:
            method.embed(view)
        monitor.on_train_batch_end(None, method, None, None, step)
    assert len(values) == 2 and len(method.encoder._forward_hooks) == 1  # steps 0 and 3; its hook does not stay
    expected = collapse_monitors(seen[0])
    assert all(torch.equal(values[0][f"collapse/{name}"], value) for name, value in expected.items())


def test_probe_never_scores_on_what_it_was_fitted_on_nor_on_the_test_part(root):
    data = StoreDataModule(str(root), batch_size=8, is_ssl=True)
    data.setup()
    fit, score = probe_rows(data, seed=0)
    assert len(fit) and len(score) and not set(fit) & set(score)
    assert not (set(fit) | set(score)) & set(data.split.test)


@pytest.mark.filterwarnings("error:Converting a tensor")
def test_a_loss_that_is_not_finite_stops_the_run_and_warns_of_nothing_else(root, tmp_path):
    data = StoreDataModule(root, batch_size=16)
    method = build(Supervised, data, LR={"encoder": 1e30, "clf": 1e30}, **SMALL)
    torch.set_warn_always(True)  # PyTorch says it once per process, and an earlier test may have heard it
    try:
        with pytest.raises(UserError, match="the loss is nan at step"):
            logged(method, data, callbacks=[FiniteLoss(tmp_path)])
    finally:
        torch.set_warn_always(False)
    table = pd.read_csv(tmp_path / "not_finite.csv")  # the samples of the batch, not of the whole part
    known = data.ready_store.metadata["source_id"]
    assert len(table) == 16 and (table["step"] > 0).all() and (table["start"] == 0).all()
    assert all(known[row] in record for row, record in zip(table["index"], table["record"], strict=True))


def test_weights_that_the_last_step_ruins_are_no_result(root, tmp_path):
    class Ruin(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            pl_module.classifier.weight.data[0, 0] = torch.inf

    data = StoreDataModule(root, batch_size=16)
    method = build(Supervised, data, **SMALL)
    with pytest.raises(UserError, match="classifier.weight is not finite after the last step; lower exp_params.LR"):
        logged(method, data, callbacks=[Ruin(), FiniteLoss(tmp_path)], max_steps=1)
