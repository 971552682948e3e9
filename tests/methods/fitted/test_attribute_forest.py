"""Attributes and trees as a recipe: fitted once, carried by the checkpoint, applied without scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.networks.attributes import AttributesEncoder
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.store.store import Store
from seisml.transforms.attributes import trace_attributes
from tests.stores import write_store


@pytest.mark.parametrize("model", ["forest", "boosting"])
def test_trained_and_loaded(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_store(tmp_path / "store", n_events=40, classes="abc")
    overrides = [
        "+experiment=attributes", f"dataset.root={root}", f"exp_params.model={model}", "exp_params.n_estimators=20",
        "figures=false",
    ]  # fmt: skip
    result = train(compose("configs/finetune.yaml", overrides), tmp_path / "run")
    assert result.metrics["test/acc"] > 0.8 and result.metrics["learned"]
    assert not list((tmp_path / "run").rglob("*ep1.ckpt"))
    said = capsys.readouterr().out
    assert result.encoder is None and "\ncheckpoint " in said and "\nencoder " not in said
    assert "Training:" not in said  # no steps, no rates
    method = load_method(result.checkpoint)
    data = StoreDataModule(str(root), split_by="event", split_procedure="fixed_test")
    data.task = method.task
    data.setup()
    x, y = trees_input(data)
    batch = next(iter(data.evaluation_loader(data.split.test, single=False)))
    with torch.no_grad():
        output, features = method.predict_log_probability(batch)
    assert (output.argmax(-1) == batch["label"]).float().mean() == pytest.approx(result.metrics["test/acc"])
    if model == "forest":  # the same trees by hand: the mean log-probability over an event's traces
        mine = RandomForestClassifier(20, max_leaf_nodes=128, random_state=0).fit(x, y, class_weights(y)[y])
        waveform = batch["waveform"]
        each = mine.predict_proba(trace_attributes(waveform).flatten(0, 1).numpy()).reshape(*waveform.shape[:2], -1)
        mean = np.log(np.maximum(each, 1e-6)).mean(1)
        expected = mean - np.log(np.exp(mean).sum(1, keepdims=True))
        np.testing.assert_allclose(output.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(("components", "n_traces"), [("ZNE", 3), ("ZNE", 1), ("ABC", 1)])
def test_components_are_described_together_where_all_records_have_them(
    tmp_path: Path, components: str, n_traces: int
) -> None:
    """With the polarisation, as `seisml compare` does it; unless the setting says otherwise."""
    root = write_store(tmp_path / "store", n_events=16, components=components)
    overrides = ["+experiment=attributes", f"dataset.root={root}", "exp_params.n_estimators=5", "figures=false"]
    if (components, n_traces) == ("ZNE", 1):
        overrides.append("model_params.in_channels=1")
    result = train(compose("configs/finetune.yaml", overrides), tmp_path / "run")
    method = load_method(result.checkpoint)
    assert method.in_channels == n_traces
    assert method.encoder.out_size == AttributesEncoder(n_traces).out_size


def trees_input(data: StoreDataModule) -> tuple[np.ndarray, np.ndarray]:
    waveform, mask = Store(data.root).read_records(data.split.train)
    found = trace_attributes(torch.from_numpy(waveform)).numpy()
    return found[mask], np.repeat(data.labels[data.split.train], mask.sum(1))


def class_weights(y: np.ndarray) -> np.ndarray:
    return np.array([14, 13, 13]).sum() / (3 * np.array([14, 13, 13]))  # of the store's 40 records
