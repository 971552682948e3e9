"""Bad input at the command line: exit code 2, one line with the cause and the cure, nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from seisml.cli import main
from seisml.config.launch import run
from seisml.networks import SmallResNetEncoder
from tests.stores import write_store

REPO = Path(__file__).resolve().parents[1]
FINETUNE = "configs/finetune.yaml"
SMALL = [
    "dataset=store", "dataset.batch_size=8", "front_end.nperseg=64", "front_end.size=[32,64]",
    "model_params.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=1", "trainer_params.gpus=[]",
    "trainer_params.enable_progress_bar=false", "figures=false",
]  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run each test in an empty folder, where configs/... is found all the same."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path) -> Path:
    return write_store(tmp_path / "store", n_events=20)


def error_line(capsys, *overrides: str, config: str = FINETUNE) -> str:
    """Run and expect exit code 2 and one line."""
    assert run(config, None, [*SMALL, *overrides]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("dataset.batchsize=8", ["dataset.batchsize", "did you mean 'batch_size'"]),
        ("dataset.batch_size=many", ["dataset.batch_size", "many"]),
        ("load_encoder.ckpt_fname=checkpoints/none.ckpt", ["checkpoints/none.ckpt", "does not exist"]),
        ("exp_params.out_size_enc=300", ["out_size_enc", "not 300", "128"]),
        ("exp_params.n_classes=9", ["n_classes is 9", "2 classes (a, b)"]),
        ("model_params.backbone_type=ResNet43Encoder", ["ResNet43Encoder", "ResNet34Encoder"]),
        ("front_end.nperseg=2000", ["nperseg", "1000 samples"]),
        ("dataset.root=nowhere", ["nowhere", "seisml prepare folder"]),
        ("front_end.size=[100000,100000]", ["front_end.size", "pixels at most"]),
        ("exp_params.LR.clf=1e30", ["the loss is nan at step", "epoch 0, batch of", "event", "lower exp_params.LR"]),
        ("trainer_params.gpus=[7]", ["there is no GPU 7"]),
        ("augmentations=[{os.getpid: {}}]", ["augmentations", "os.getpid"]),
        ("trainer_params.strategy=psychic", ["trainer_params", "psychic"]),
        ("augmentations=[RandomAmplitudeJiter]", ["RandomAmplitudeJiter", "did you mean 'RandomAmplitudeJitter'"]),
    ],
)
def test_settings(store, capsys, override, words):
    line = error_line(capsys, f"dataset.root={store}", override)
    assert all(word in line for word in words), line


def test_foreign_and_truncated_checkpoints(store, tmp_path, capsys):
    (tmp_path / "foreign.ckpt").write_bytes(b"not a checkpoint at all")
    assert "foreign.ckpt" in error_line(capsys, f"dataset.root={store}", "load_encoder.ckpt_fname=foreign.ckpt")
    torch.save({"model_state_dict": SmallResNetEncoder().state_dict()}, tmp_path / "whole.ckpt")
    data = (tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[: len(data) // 2])
    line = error_line(capsys, f"dataset.root={store}", "load_encoder.ckpt_fname=cut.ckpt")
    assert "cut.ckpt is damaged or truncated" in line
    torch.save({"model_state_dict": {"model.conv1.weight": torch.zeros(3)}}, tmp_path / "other.ckpt")
    line = error_line(capsys, f"dataset.root={store}", "load_encoder.ckpt_fname=other.ckpt")
    assert "does not fit SmallResNetEncoder" in line and "load_encoder.backbone_type" in line


def test_a_class_with_one_sample(tmp_path, capsys):
    root = write_store(tmp_path / "few", n_events=9, classes="aaaaaaaab")
    line = error_line(capsys, f"dataset.root={root}")
    assert "'b'" in line and "one" in line


def test_one_event_in_two_parts(store, capsys):
    table = (store / "metadata.csv").read_text().replace("event003", "event001").replace("event005", "event001")
    table = table.replace("event007", "event001").replace("event009", "event001").replace("event011", "event001")
    (store / "metadata.csv").write_text(table)
    line = error_line(capsys, f"dataset.root={store}")
    assert "event001" in line and "dataset.split_by=event" in line


@pytest.mark.parametrize("workers", [0, 1])
def test_nan_in_a_store(store, capsys, workers):
    with h5py.File(store / "waveforms.hdf5", "r+") as file:
        file["data/bucket0"][:, 1, 7] = np.nan
    overrides = ["dataset.return_single_spectrogram_train=false", f"dataset.num_workers={workers}", "front_end.floor=1"]
    line = error_line(capsys, f"dataset.root={store}", *overrides)
    assert "not numbers" in line and "bucket0$" in line and str(store) in line


def test_dead_traces_train(store, capsys):
    """A dead trace is no reason to stop: its picture is blank and its numbers stay finite."""
    with h5py.File(store / "waveforms.hdf5", "r+") as file:
        file["data/bucket0"][:, 1] = 0
    assert run(FINETUNE, None, [*SMALL, f"dataset.root={store}"]) == 0
    assert "test/acc" in capsys.readouterr().out


def test_mixed_rates(store, capsys):
    table = (store / "metadata.csv").read_text()
    (store / "metadata.csv").write_text(table.replace("100.0", "50.0", 1))
    assert "mixes sampling rates (50, 100 Hz)" in error_line(capsys, f"dataset.root={store}")


def test_more_batch_than_events(store, capsys):
    line = error_line(capsys, f"dataset.root={store}", "dataset.batch_size=99", config="configs/ssl.yaml")
    assert "batch_size is 99" in line and "16 training events" in line


def test_empty_class_folder_and_truncated_files(tmp_path, capsys, shared_data):
    """`seisml prepare` goes on with the rest and names what it left out; with nothing left it stops with code 2."""
    source = tmp_path / "recordings"
    for name in ("Regional", "Empty"):
        (source / name).mkdir(parents=True)
    event = (shared_data / "aknes" / "2007_034_45_117472.dat").read_bytes()
    (source / "Regional" / "whole.dat").write_bytes(event)
    (source / "Regional" / "cut.dat").write_bytes(event[: len(event) // 2])
    (source / "Regional" / "empty.dat").write_bytes(b"")
    assert main(["prepare", "folder", str(source), "--out", str(tmp_path / "made")]) == 0
    said = "".join(capsys.readouterr())
    assert all(word in said for word in ("cut.dat", "truncated", "empty.dat", "Empty"))
    os.remove(source / "Regional" / "whole.dat")
    assert main(["prepare", "folder", str(source), "--out", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists() and "error" in capsys.readouterr().err
