"""A model tested on a store that it was not trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.train import train
from seisml.store.writer import StoreWriter
from tests.run.test_train import SMALL
from tests.stores import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("here") / "store", n_events=40)


def run(store, folder, *overrides):
    settings = [*SMALL, f"dataset.root={store}", "trainer_params.max_epochs=6", "figures=false", *overrides]
    return train(compose("configs/finetune.yaml", settings), folder).metrics


def write_other(folder, lengths=(1000,), classes="ab", rate=100.0, n_traces=2, n_events=12):
    """Events like those of :func:`write_store`, under other names."""
    generator = np.random.default_rng(1)
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number in range(n_events):
            time = np.arange(lengths[number % len(lengths)]) / 100.0
            kind = number % len(classes)
            tone = np.sin(2 * np.pi * (5 + 15 * kind) * time) * np.exp(-((time - 3) ** 2))
            waveform = (20 * tone + generator.standard_normal((n_traces, len(time)))).astype(np.float32)
            row = {"trace_category": classes[kind], "source_id": f"other{number}", "trace_sampling_rate_hz": rate}
            writer.add(waveform, row)
    return folder


def test_all_of_another_store_tests_the_same_model(store, tmp_path, capsys):
    """Other lengths and a class that the model does not know: said, and the rest is scored."""
    other = write_other(tmp_path / "other", lengths=(1000, 1200, 900), classes="bac")
    plain = run(store, tmp_path / "plain")
    capsys.readouterr()
    metrics = run(store, tmp_path / "run", f"dataset.test_root={other}")
    said = capsys.readouterr().out
    assert metrics["split_hash"] == plain["split_hash"] and metrics["train/loss"] == plain["train/loss"]
    assert metrics["records"] == {"train": 32, "dev": 0, "test": 8} and metrics["test/n"] == 8
    assert metrics["test/acc"] == 0.0  # tones of 5 Hz are called b there: names decide, not their order
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(table["event"]) == {f"other{number}" for number in range(12) if number % 3 != 2}
    for words in ("4 of 12 records are shorter", "4 of 12 records are longer", "4 records of classes that the model"):
        assert words in said
    assert f"Test: {other}, 8 events; 0 of them have names that training has" in said


@pytest.mark.parametrize(
    ("other", "overrides", "words"),
    [
        ({"rate": 50.0}, [], "has 50 Hz, and the model was trained at 100 Hz; prepare it .* --sampling-rate 100"),
        ({"n_traces": 1}, ["model_params.in_channels=3"], "fewer than in_channels=3"),
        ({"classes": "xy"}, [], r"no record has a label that the model knows \(a, b\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(store, tmp_path, other, overrides, words):
    root = write_other(tmp_path / "other", **other)
    with pytest.raises(UserError, match=words) as error:
        run(store, tmp_path / "run", f"dataset.test_root={root}", *overrides)
    assert "\n" not in str(error.value) and str(root) in str(error.value)


def test_a_missing_store_is_named(store, tmp_path):
    with pytest.raises(UserError, match="dataset.test_root: there is nothing at .*nowhere"):
        run(store, tmp_path / "run", f"dataset.test_root={tmp_path}/nowhere")


def test_embeddings_of_another_store_are_told_by_their_neighbours_in_training(store, tmp_path):
    other = write_other(tmp_path / "other")
    settings = [
        *SMALL, "model_params=vibcreg", "model_params.proj_hid=64", "model_params.proj_out=64",
        "augmentations=[{RandomCrop:{width:0.2}}]", f"dataset.root={store}", "trainer_params.max_epochs=1",
        "figures=false", f"dataset.test_root={other}",
    ]  # fmt: skip
    assert train(compose("configs/ssl.yaml", settings), tmp_path / "run").metrics["test/n"] == 12
