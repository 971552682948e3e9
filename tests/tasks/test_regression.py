from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.evaluation.regression import regression_metrics
from seisml.methods.regression import BinnedRegressor, Regressor
from seisml.run.train import train
from seisml.store.writer import StoreWriter
from seisml.tasks.base import LabelSettings, Predictions
from seisml.tasks.facts import DataFacts, Quantity
from seisml.tasks.regression import BinnedRegression, Regression
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from tests.stores import SAMPLING_RATE

FACTS = DataFacts((), SAMPLING_RATE, 1000, (), Quantity("delay_s", "s", 2.0, 0.5, 1.9, 0.0, 4.0))
SETTINGS = LabelSettings("delay_s")


def write_delays(folder, n_events=40, per_event=2):
    """Two pulses; the time between them is the number to predict. The last event has none."""
    generator = np.random.default_rng(0)
    time = np.arange(1000) / SAMPLING_RATE
    with StoreWriter(folder, {"test": True}, None) as writer:
        for event in range(n_events):
            delay = generator.uniform(1, 5)
            for _ in range(per_event):
                start = generator.uniform(1, 4)
                pulses = sum(np.exp(-((time - at) ** 2) / 0.02) for at in (start, start + delay))
                tone = pulses * np.sin(2 * np.pi * 10 * time)
                waveform = (10 * tone + generator.standard_normal((1, 1000))).astype(np.float32)
                row = {"source_id": f"event{event:03d}", "trace_sampling_rate_hz": SAMPLING_RATE}
                writer.add(waveform, row | ({"delay_s": round(delay, 3)} if event < n_events - 1 else {}))
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_delays(tmp_path_factory.mktemp("delays") / "store")


def predictions(output, label):
    rows = torch.arange(len(label))
    return Predictions(output, torch.tensor(label), rows, rows, rows.numpy().astype(str), torch.zeros(len(label), 2))


def regressor(kind=Regressor, facts=FACTS, **kwargs):
    front_end = SpectrogramFrontEnd(nperseg=32, size=(16, 64), floor=1e-3, sampling_rate=SAMPLING_RATE)
    return kind(facts=facts, front_end=front_end, backbone_type="SmallResNetEncoder", **kwargs)


def test_statistics_come_from_the_training_part_and_travel(root):
    data = StoreDataModule(str(root), label_column="delay_s", split_procedure="fixed_test", split_by="event")
    data.task = Regression()
    data.setup()
    train = data.labels[data.split.train]
    of = data.facts.quantity
    assert (of.name, of.unit) == ("delay_s", "s") and of.mean == pytest.approx(float(train.mean()), rel=1e-5)
    assert (of.median, of.low, of.high) == pytest.approx((np.median(train), train.min(), train.max()))
    assert DataFacts.from_dict(data.facts.to_dict()) == data.facts
    assert len(data.split.train) + len(data.split.test) == 78  # the event without a number is in no part
    batch = next(iter(data.train_dataloader()))
    assert batch["label"].dtype == torch.float32
    low, high = (np.median(data.labels[rows]) for rows in (data.split.train, data.split.test))
    assert abs(low - high) < 0.5  # stratified by quantiles


@pytest.mark.parametrize("by", ["station", "time"])
def test_few_groups_need_no_strata(root, by):
    data = StoreDataModule(str(root), label_column="delay_s", split_procedure="fixed_test", split_by=by)
    data.task = Regression()
    stations = data.open_store().metadata.assign(
        station_code=[f"S{k % 3}" for k in range(80)],
        trace_start_time=[f"2020-01-01T00:{k:02d}:00Z" for k in np.arange(80) // 2],
    )
    labels = data.task.read(stations, SETTINGS, "store")
    split = data.make_split(stations, data.task.strata(labels, np.zeros(80), "Unlabeled"))
    assert len(split.test) and len(split.train)


def test_bad_columns_are_named():
    frame = pd.DataFrame({"trace_category": ["a", "b"], "delay_s": ["1.5", "x"], "depth_km": [1.0, 2.0]})
    with pytest.raises(
        UserError, match=r"dataset.label_column=... \(not 'trace_category'; columns of numbers: depth_km"
    ):
        Regression().read(frame, LabelSettings(), "store")
    with pytest.raises(UserError, match="row 1: delay_s is 'x', not a number"):
        Regression().read(frame, SETTINGS, "store")
    with pytest.raises(UserError, match="fewer than two values"):
        Regression().read(frame.assign(delay_s=[2.0, 2.0]), SETTINGS, "store")
    with pytest.raises(UserError, match="set dataset.label_column"):
        regressor(facts=DataFacts(("a", "b"), SAMPLING_RATE, 1000)).constant_losses(torch.zeros(3))


def test_metrics_are_those_of_scikit_learn_and_the_constant_is_the_median():
    label = np.array([1.0, 2.0, 3.0, 7.0], dtype=np.float32)
    answers = np.array([1.5, 2.0, 2.0, 6.0])
    output = torch.tensor((answers - 2.0) / 0.5, dtype=torch.float32)[:, None]
    scores = Regression().compare(predictions(output, label), torch.tensor([1.0, 2.0, 9.0, torch.nan]), FACTS)
    assert scores["mae"] == pytest.approx(2.5 / 4) and scores["bias"] == pytest.approx(-1.5 / 4)
    assert scores["r2"] == pytest.approx(r2_score(label, answers)) and scores["unit"] == "s"
    assert scores["constant_mae"] == pytest.approx(np.abs(label - 2.0).mean())
    assert scores["spread"] == pytest.approx(answers.std() / label.std())
    assert scores["mae_interval"][0] <= scores["mae"] <= scores["mae_interval"][1]


def test_the_interval_resamples_events():
    """A hundred copies of one event's error say no more than one."""
    generator = torch.Generator().manual_seed(0)
    error, events = torch.rand(10, generator=generator), np.arange(10).astype(str)
    once = regression_metrics(error, torch.zeros(10), events)["mae_interval"]
    often = regression_metrics(error.repeat(100), torch.zeros(1000), np.tile(events, 100))["mae_interval"]
    assert often == pytest.approx(once)


@pytest.mark.parametrize(("loss", "best"), [("squared", "mean"), ("absolute", "median"), ("huber", None)])
def test_the_constant_loss_is_the_best_of_all_constants(loss, best):
    label = torch.tensor([1.0, 1.2, 2.0, 2.1, 3.9])
    method = regressor(loss=loss)
    found = method.constant_losses(label)["train/loss"]
    tried = [float(method.loss_of(torch.full((5, 1), c), label)) for c in np.linspace(-3, 5, 4001)]
    assert found == pytest.approx(min(tried), rel=1e-3)
    if best is not None:
        output = Regression().loss_target(getattr(label, best)(), FACTS).expand(5, 1)
        assert found == pytest.approx(float(method.loss_of(output, label)), rel=1e-3)


def test_bins_answer_with_centres_and_expectation():
    task = BinnedRegression(n_bins=4)
    assert task.loss_target(torch.tensor([-1.0, 0.0, 0.99, 1.0, 3.9, 4.0, 9.0]), FACTS).tolist() == [
        0,
        0,
        0,
        1,
        3,
        3,
        3,
    ]
    output = torch.tensor([[0.5, 0.5, 1e-9, 1e-9], [1e-9, 1e-9, 0.4, 0.6]]).log()
    assert task.predicted(output, FACTS)[1] == 3.5 and task.centres(FACTS).tolist() == [0.5, 1.5, 2.5, 3.5]
    scores = task.compare(predictions(output, [1.0, 3.1]), torch.tensor([1.9, 1.9, 3.0]), FACTS)
    assert scores["expectation_mae"] == pytest.approx(0, abs=1e-5) and scores["mae"] == pytest.approx((0.5 + 0.4) / 2)
    assert scores["constant_mae"] == pytest.approx((0.5 + 1.6) / 2)  # the bin of the median: 1.5
    method = regressor(BinnedRegressor, n_bins=4)
    assert method.classifier.out_features == 4
    assert method.constant_losses(torch.tensor([0.5, 1.5]))["train/loss"] == pytest.approx(np.log(2))


@pytest.mark.parametrize("loss", ["cubed"])
def test_unknown_losses_are_refused(loss):
    with pytest.raises(UserError, match="exp_params.loss: 'cubed' is unknown"):
        regressor(loss=loss)


@pytest.mark.parametrize(("front_end", "collapses"), [("waveform", True), ("standardized", False)])
def test_predictions_that_collapse_to_one_number_are_remarked(tmp_path, capsys, front_end, collapses):
    """The number is the amplitude of a tone: a front end that divides by it leaves nothing to learn but the mean."""
    generator, time = np.random.default_rng(0), np.arange(200) / SAMPLING_RATE
    with StoreWriter(tmp_path / "store", {"test": True}, None) as writer:
        for event in range(80):
            amplitude = generator.uniform(1, 9)
            tone = amplitude * (np.sin(2 * np.pi * 10 * time) + 1e-2 * generator.standard_normal((1, 200)))
            row = {"source_id": f"event{event:02d}", "trace_sampling_rate_hz": SAMPLING_RATE, "size_m": amplitude}
            writer.add(tone.astype(np.float32), row)
    changes = [
        "dataset=store", f"dataset.root={tmp_path / 'store'}", "dataset.label_column=size_m", "dataset.batch_size=16",
        "model_params=regression", "load_encoder.backbone_type=DilatedConvNetEncoder", "exp_params.LR=1e-2",
        "+model_params.backbone_params={channels: 8, n_layers: 1, stem_stride: 4}", f"front_end={front_end}",
        "exp_params.model_save_ep_period=-1", "trainer_params.max_epochs=15", "trainer_params.gpus=[]",
        "trainer_params.enable_progress_bar=false", "figures=false",
    ]  # fmt: skip
    metrics = train(compose("configs/finetune.yaml", changes), tmp_path / "run").metrics
    said = [line for line in capsys.readouterr().out.splitlines() if "collapsed" in line]
    assert (metrics["test/spread"] < 0.1) is collapses and (metrics["test/r2"] < 0.1) is collapses
    if collapses:
        (line,) = said
        assert line.startswith("Warning: the predictions have collapsed to one number: they spread ")
        assert "model_params=binned_regression" in line
    else:
        assert not said
