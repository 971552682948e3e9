"""Statistics and boosting as a recipe: fitted once, carried by the checkpoint, applied without scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from seisml.config.compose import compose
from seisml.datasets.lanl.data_module import LanlDataModule
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.errors import UserError
from seisml.methods.fitted.emission_boosting import EmissionBoosting
from seisml.networks.forest import BoostedTrees
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.transforms.emission_features import emission_features


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lanl") / "demo.h5"
    prepare_lanl_demo(path, n_cycles=8, scale=400)
    return path


def run(root: Path, folder: Path, *more: str):
    overrides = ["+experiment=lanl_features", f"dataset.root={root}", "exp_params.n_estimators=40", "figures=false"]
    return train(compose("configs/finetune.yaml", [*overrides, *more]), folder)


@pytest.mark.parametrize("target", ["time", "fraction"])
def test_trained_and_loaded(root: Path, tmp_path: Path, target: str) -> None:
    result = run(root, tmp_path / "run", f"exp_params.target={target}")
    metrics = result.metrics
    assert result.checkpoint.name == "last.ckpt"  # fitted at once: there is no other to choose, whatever the dev part
    assert metrics["test/mae"] < 0.75 * metrics["test/constant_mae"] and metrics["learned"]
    assert metrics["test/mae_interval"][0] < metrics["test/mae"] < metrics["test/mae_interval"][1]
    method = load_method(result.checkpoint)
    data = LanlDataModule(str(root))
    data.task = method.task
    data.setup()
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        predicted = method.task.predicted(method.answer(batch)[0], method.facts)
    x, y, length = fit_by_hand(data)
    kept = length >= np.median(np.unique(length)) / 2 if target == "fraction" else np.ones(len(y), bool)
    mean, std = data.facts.quantity.mean, data.facts.quantity.std
    wanted = y[kept] / length[kept] if target == "fraction" else (y - mean) / std
    model = HistGradientBoostingRegressor(
        loss="absolute_error", learning_rate=0.05, max_iter=40, early_stopping=False, random_state=0
    ).fit(x[kept], wanted)
    found = model.predict(described(batch["waveform"]))
    expected = found * np.median(np.unique(length[kept])) if target == "fraction" else found * std + mean
    np.testing.assert_allclose(predicted.numpy(), expected, atol=1e-4 * std)


def described(waveform: torch.Tensor) -> np.ndarray:
    return emission_features(waveform[:, 0], torch.Generator().manual_seed(0)).numpy()


def fit_by_hand(data: LanlDataModule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batches = list(data.evaluation_loader(data.split.train))
    x = np.concatenate([described(batch["waveform"]) for batch in batches])
    y, row = (torch.cat([batch[name] for batch in batches]).numpy() for name in ("label", "index"))
    begins = data.ready_store.time_to_failure(row, np.zeros_like(row))
    return x, y, begins


def test_copied_trees_answer_as_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((500, 4)).astype(np.float32)
    x[:, 3] = np.round(x[:, 3])
    y = np.sin(2 * x[:, 0]) + x[:, 3]
    for loss in ("squared_error", "absolute_error"):
        model = HistGradientBoostingRegressor(loss=loss, max_iter=30, max_leaf_nodes=15, random_state=0).fit(x, y)
        trees = BoostedTrees(40, 15).take(model, x)
        fresh = generator.standard_normal((200, 4)).astype(np.float32)
        np.testing.assert_allclose(trees(torch.from_numpy(fresh)).numpy(), model.predict(fresh), atol=1e-5)
    with pytest.raises(RuntimeError, match="answer otherwise"):
        trees.take(Fitted(model, shift=0.1), x)


class Fitted:
    """A fitted model of which a later scikit-learn would keep something elsewhere."""

    def __init__(self, model: HistGradientBoostingRegressor, shift: float) -> None:
        self._predictors, self._baseline_prediction = model._predictors, model._baseline_prediction
        self.model, self.shift = model, shift

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x) + self.shift


def test_settings_that_do_not_fit(root: Path, tmp_path: Path) -> None:
    data = LanlDataModule(str(root))
    data.task = EmissionBoosting.task
    data.setup()
    with pytest.raises(UserError, match="huber"):
        EmissionBoosting(facts=data.facts, front_end=torch.nn.Identity(), loss="huber")
    with pytest.raises(UserError, match="choose from time, fraction"):
        EmissionBoosting(facts=data.facts, front_end=torch.nn.Identity(), target="share")
