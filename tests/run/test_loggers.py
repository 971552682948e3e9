"""Loggers by one override: the resolved configuration, the results and the figures are really in their files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seisml.config.compose import compose
from seisml.run.train import train
from tests.stores import write_store

FIGURES = {
    "loss_curves", "confusion_matrix", "embedding_map", "gallery", "false_predictions", "calibration",
    "precision_recall",
}  # fmt: skip
SMALL = [
    "dataset=store", "dataset.batch_size=8", "front_end.nperseg=64", "front_end.size=[32,64]",
    "load_encoder.backbone_type=SmallResNetEncoder", "trainer_params.max_epochs=2", "trainer_params.gpus=[]",
    "exp_params.model_save_ep_period=-1",
    "trainer_params.enable_progress_bar=false",
]  # fmt: skip


def run(tmp_path: Path, logger: str, *more: str) -> Path:
    store = write_store(tmp_path / "store", n_events=20)
    folder = tmp_path / "run"
    train(compose("configs/finetune.yaml", [*SMALL, f"dataset.root={store}", f"logger={logger}", *more]), folder)
    return folder


def test_csv_holds_curves_and_results(tmp_path: Path) -> None:
    table = (run(tmp_path, "csv", "figures=false") / "metrics.csv").read_text(encoding="utf-8")
    header = table.splitlines()[0].split(",")
    assert {"train/loss", "train/acc", "test/acc", "epoch", "step"} <= set(header)


def test_tensorboard_holds_config_results_and_figures(tmp_path: Path) -> None:
    images, scalars, raw = set(), {}, b""
    for file in run(tmp_path, "tensorboard").glob("events.out.tfevents*"):
        events = EventAccumulator(str(file)).Reload()
        images |= set(events.Tags()["images"])
        for name in events.Tags()["scalars"]:
            scalars.setdefault(name, []).extend(event.step for event in events.Scalars(name))
        raw += file.read_bytes()
    assert images == FIGURES
    assert all(steps == sorted(set(steps)) for steps in scalars.values())  # one value a step
    assert len(scalars["train/loss"]) == 2 and max(scalars["train/loss"]) <= min(scalars["test/acc"])
    assert b"exp_params/LR/clf" in raw and b"SmallResNetEncoder" in raw


@pytest.mark.long
def test_wandb_offline_holds_config_results_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    made = run(tmp_path, "wandb")
    wandb.teardown()  # wandb's own process closes the file, as it does when a command ends
    (folder,) = (made / "wandb").glob("offline-run-*")
    pictures = [file.name for file in (folder / "files" / "media" / "images").iterdir()]
    assert all(any(name.startswith(figure) for name in pictures) for figure in FIGURES)
    file, deadline = next(folder.glob("*.wandb")), time.monotonic() + 20
    while len(raw := file.read_bytes()) < 100 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert b"SmallResNetEncoder" in raw and b"test/acc" in raw
