"""A number predicted: from configuration to metrics, figure and checkpoint, and what refuses such a checkpoint."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from seisml.config.compose import compose
from seisml.detection.predict import predict
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.train import train
from tests.tasks.test_regression import write_delays

SMALL = [
    "dataset=store", "dataset.label_column=delay_s", "dataset.split_procedure=fixed_test", "dataset.split_by=event",
    "dataset.batch_size=8", "front_end.nperseg=32", "front_end.noverlap=16", "front_end.size=[16,64]",
    "model_params.backbone_type=SmallResNetEncoder", "trainer_params.gpus=[]",
    "trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1",
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_delays(tmp_path_factory.mktemp("delays") / "store", n_events=80)


@pytest.mark.long
def test_bins_of_one_range_beat_the_constant_predictor(store, tmp_path):
    cfg = compose(
        "configs/finetune.yaml",
        [*SMALL, "model_params=binned_regression", "exp_params.n_bins=4", f"dataset.root={store}",
         "trainer_params.max_epochs=20", "exp_params.LR=3e-3", "model_params.backbone_params.stem_stride=[4,1]",
         "figures=false"],
    )  # fmt: skip
    metrics = train(cfg, tmp_path / "run").metrics
    assert metrics["test/expectation_mae"] < 0.7 * metrics["test/constant_mae"] and metrics["learned"] is True
    assert load_method(tmp_path / "run" / "checkpoints" / "last.ckpt").task.n_bins == 4


@pytest.mark.long
def test_it_beats_the_constant_predictor(store, tmp_path, capsys):
    cfg = compose(
        "configs/finetune.yaml",
        [*SMALL, "model_params=regression", f"dataset.root={store}", "trainer_params.max_epochs=25",
         "dataset.dev_data_ratio=0.2", "exp_params.LR=3e-3", "model_params.backbone_params.stem_stride=[4,1]"],
    )  # fmt: skip
    result = train(cfg, tmp_path / "run")
    metrics, said = result.metrics, capsys.readouterr().out
    assert metrics["test/mae"] < 0.6 * metrics["test/constant_mae"] and metrics["learned"] is True
    assert metrics["test/mae_interval"][1] < metrics["test/constant_mae"] and metrics["test/unit"] == "s"
    assert result.checkpoint.name == "best.ckpt" and "dev/mae" in metrics  # chosen on the dev part
    assert set(result.figures) == {"loss_curves", "residuals"}
    assert "delay_s from 1" in said and "test/constant_mae" in said
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test/mae"] == metrics["test/mae"]
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert (table["true"] - table["predicted"]).abs().mean() == pytest.approx(metrics["test/mae"])
    assert set(table["unit"]) == {"s"} and len(table) == metrics["test/n"]
    method = load_method(result.checkpoint)
    assert method.facts.quantity.unit == "s"
    with pytest.raises(UserError, match="best.ckpt gives a number, and recordings want class probabilities"):
        predict(result.checkpoint, [tmp_path], tmp_path / "out")


def test_a_collapse_to_the_mean_is_flagged(store, tmp_path, capsys):
    cfg = compose(
        "configs/finetune.yaml",
        [*SMALL, "model_params=regression", f"dataset.root={store}", "trainer_params.max_epochs=1",
         "exp_params.LR=1e-12", "figures=false"],
    )  # fmt: skip
    metrics = train(cfg, tmp_path / "run").metrics
    assert metrics["learned"] is False and "did not learn" in capsys.readouterr().out


def test_a_column_of_classes_is_refused(store, tmp_path):
    cfg = compose(
        "configs/finetune.yaml",
        [*SMALL, "model_params=regression", f"dataset.root={store}", "dataset.label_column=trace_category"],
    )
    with pytest.raises(UserError, match="columns of numbers: .*delay_s"):
        train(cfg, tmp_path / "run")
