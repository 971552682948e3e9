"""The exercise's networks: parameters, steps, early stopping, and scikit-learn's perceptron beside ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import savemat
from sklearn.neural_network import MLPClassifier

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.networks.textbook.mlp import MLPEncoder
from seisml.networks.textbook.picture_convnet import PictureConvNetEncoder
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.transforms.matrix import MatrixFrontEnd

ROWS, COLUMNS = 9, 12


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Spectrograms of three classes, each with power in rows of its own, over ten orders of magnitude."""
    generator = np.random.default_rng(0)
    label = np.arange(150) % 3
    pictures = generator.exponential(size=(150, ROWS, COLUMNS))
    for k in range(3):
        pictures[label == k, 3 * k : 3 * k + 3] *= 20
    pictures *= 10.0 ** generator.uniform(-10, 0, (150, 1, 1))
    path = tmp_path_factory.mktemp("table") / "lab.mat"
    names = {"classes": np.array(["AE", "UP", "noise"]), "events": np.array([f"event{n // 2:03d}" for n in range(150)])}
    savemat(path, {"mSpec": np.column_stack([pictures.reshape(150, -1), label]).T, **names})
    return path


def run(table, folder, *overrides, experiment="labquakes_mlp"):
    settings = [
        f"+experiment={experiment}", f"dataset.root={table}", f"front_end.n_frequencies={ROWS}", "figures=false",
        "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", "exp_params.model_save_ep_period=-1",
        *overrides,
    ]  # fmt: skip
    return train(compose("configs/finetune.yaml", settings), folder)


def test_pictures_are_logarithms_standardised_one_by_one():
    power = 10.0 ** torch.arange(12, dtype=torch.float32).repeat(2, 1, 1) * torch.tensor([1.0, 1e-6])[:, None, None]
    picture = MatrixFrontEnd(3)(power)
    assert picture.shape == (2, 1, 3, 4)
    torch.testing.assert_close(picture[0], picture[1], atol=1e-4, rtol=0)  # the amplitude is gone
    assert abs(float(picture[0].mean())) < 1e-5 and float(picture[0].std(correction=0)) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(MatrixFrontEnd(3, log=False, standardize=False)(power), power.unflatten(-1, (3, 4)))
    assert torch.equal(MatrixFrontEnd(3)(torch.zeros(1, 1, 12)), torch.zeros(1, 1, 3, 4))
    assert "set front_end.log=false" in str(MatrixFrontEnd(3).check(-power)) and MatrixFrontEnd(3).check(power) is None
    view = MatrixFrontEnd(3).picture(power)
    torch.testing.assert_close(view.columns(torch.tensor([1, 2]), 2)[1], picture[1, :, :, 2:4])
    with pytest.raises(UserError, match="front_end.n_frequencies"):
        MatrixFrontEnd(5)(power)


def test_parameters_of_each_layer_are_those_of_the_exercise(table, tmp_path, capsys):
    """Weights and biases of d_hidden = (20) and (50, 2) for 65 x 99 pixels and three classes."""
    for hidden, expected in (((20,), 6435 * 20 + 20), ((50, 2), 6435 * 50 + 50 + 50 * 2 + 2)):
        assert sum(weight.numel() for weight in MLPEncoder(hidden=hidden).parameters()) == expected
    metrics = run(table, tmp_path / "run", "model_params.backbone_params.hidden=[50,2]", "trainer_params.max_epochs=1")
    pixels = ROWS * COLUMNS
    assert metrics.metrics["parameters"] == pixels * 50 + 50 + 50 * 2 + 2 + 2 * 3 + 3
    said = capsys.readouterr().out
    assert f"{pixels * 50 + 50:,}" in said and "Linear" in said


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_perceptron_learns_and_its_checkpoint_loads(table, tmp_path, optimizer):
    result = run(table, tmp_path / "run", f"exp_params.optimizer={optimizer}", "trainer_params.max_epochs=30")
    assert result.metrics["test/acc"] > 0.9 > result.metrics["test/constant_acc"]
    state = torch.load(result.folder / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0]
    assert ("momentum_buffer" in state["state"][0]) == (optimizer == "sgd")
    assert load_method(result.checkpoint).encoder.out_size == 20


def test_a_convolutional_network_learns(table, tmp_path):
    result = run(
        table, tmp_path / "run", "trainer_params.max_epochs=25", "exp_params.LR=5e-3", experiment="labquakes_cnn"
    )  # fmt: skip
    assert result.metrics["test/acc"] > 0.8
    assert PictureConvNetEncoder(out_size=7)(torch.zeros(2, 1, 65, 99)).shape == (2, 7)


def test_training_stops_where_the_dev_part_gets_no_better(table, tmp_path):
    settings = ["exp_params.LR=0.5", "trainer_params.max_epochs=200", "exp_params.stop_patience=3"]
    run(table, tmp_path / "run", *settings, "dataset.dev_data_ratio=0.2")
    epochs = (tmp_path / "run" / "metrics.csv").read_text().count("\n")
    assert epochs < 400  # two lines an epoch
    with pytest.raises(UserError, match="exp_params.stop_patience: stopping needs a dev part"):
        run(table, tmp_path / "other", *settings)


def test_the_reference_is_scikit_learns_network(table, tmp_path):
    result = run(table, tmp_path / "run", "model_params=mlp_reference", "exp_params.max_iter=15")
    assert result.metrics["test/acc"] > 0.9 and result.metrics["parameters"] == ROWS * COLUMNS * 20 + 20 + 20 * 3 + 3
    method = load_method(result.checkpoint)
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((90, ROWS * COLUMNS)), np.arange(90) % 3
    for classes in (3, 2):
        model = MLPClassifier((20,), max_iter=3, random_state=0, tol=0).fit(x[y < classes], y[y < classes])
        method.take(model)
        with torch.no_grad():
            score = method.classifier(method.encoder(torch.from_numpy(x).float().reshape(-1, 1, ROWS, COLUMNS)))
        expected = model.predict_proba(x)
        np.testing.assert_allclose(score.softmax(-1).numpy()[:, :classes], expected, atol=1e-5)
