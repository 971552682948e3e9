"""A few steps of each experiment of the tremor and ConvNetQuake seeds, from configuration to metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seisml.config.compose import compose
from seisml.run.build import load_method
from seisml.run.train import train
from seisml.store.writer import StoreWriter
from tests.datasets.test_tremor import write_file

SHORT = [
    "trainer_params.gpus=[]", "trainer_params.enable_progress_bar=false", "dataset.batch_size=8",
    "exp_params.model_save_ep_period=-1",
]  # fmt: skip


def run(folder, experiment, root, *overrides):
    changes = [f"+experiment={experiment}", f"dataset.root={root}", *SHORT, *overrides]
    metrics = train(compose("configs/finetune.yaml", changes), folder).metrics
    assert json.loads((folder / "metrics.json").read_text())["test/acc"] == metrics["test/acc"]
    return metrics


@pytest.mark.parametrize("experiment", ["triggered_tremor", "tremor_clustering"])
def test_tremor(tmp_path, capsys, experiment):
    path, _ = write_file(tmp_path / "t.h5", n=80, t=1100)
    metrics = run(tmp_path / "run", experiment, path, "trainer_params.max_epochs=1")
    assert metrics["classes"] == ["none", "tremor"] and metrics["events"]["dev"] > 0
    assert "train/loss" in metrics and "dev/loss" in metrics and "dev/acc" in metrics
    figures = {file.name for file in (tmp_path / "run" / "figures").iterdir()}
    assert {"embedding_map.png", "confusion_matrix.png", "loss_curves.png"} <= figures
    assert any(file.name.startswith("events.out.tfevents") for file in (tmp_path / "run").rglob("*"))
    assert "Total params:" in capsys.readouterr().out
    method = load_method(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert method.facts.n_samples == 1100 and method.classifier.weight.abs().max() > 0


def test_published_network_is_printed(tmp_path, capsys):
    path, _ = write_file(tmp_path / "t.h5", n=24, t=20_000)
    run(
        tmp_path / "run",
        "triggered_tremor",
        path,
        "trainer_params.max_steps=1",
        "dataset.dev_data_ratio=0",
        "figures=false",
    )
    printed = capsys.readouterr().out
    assert "Total params: 177,738" in printed and "[1, 8, 10001]" in printed


def test_convnetquake(tmp_path):
    generator = np.random.default_rng(0)
    with StoreWriter(tmp_path / "store", {}) as writer:
        for number in range(60):
            label = ("noise", "cluster_1", "cluster_2")[number % 3]
            row = {"trace_category": label, "trace_sampling_rate_hz": 100.0, "source_id": f"event{number}"}
            writer.add(generator.standard_normal((3, 1000)), row)
    metrics = run(tmp_path / "run", "convnetquake", tmp_path / "store", "trainer_params.max_steps=3")
    assert metrics["classes"] == ["noise", "cluster_1", "cluster_2"] and "train/l2" in metrics
    method = load_method(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert method.task.noise_class == "noise" and method.encoder.n_samples == 1000


@pytest.mark.long
def test_convnetquake_leaves_the_constant_answer(tmp_path):
    """At the published rate; from PyTorch's default weights the loss stays at ln 2 while the penalty falls."""
    generator, time = np.random.default_rng(0), np.arange(1000) / 100
    with StoreWriter(tmp_path / "store", {}) as writer:
        for number in range(160):
            is_event = number % 2
            tone = 5 * is_event * np.sin(2 * np.pi * 8 * time) * np.exp(-((time - 4) ** 2))
            row = {"trace_category": ("noise", "event")[is_event], "source_id": f"event{number}"}
            writer.add(generator.standard_normal((3, 1000)) + tone, row | {"trace_sampling_rate_hz": 100.0})
    changes = ["dataset.batch_size=32", "trainer_params.max_steps=80", "figures=false", "augmentations=[]"]
    metrics = run(tmp_path / "run", "convnetquake", tmp_path / "store", *changes)
    assert metrics["train/loss"] < 0.6 and metrics["test/acc"] > 0.8
