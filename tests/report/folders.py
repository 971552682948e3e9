"""Folders as runs leave them, small and made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

CLASSES = ("blast", "noise", "quake")
VERSIONS = {"python": "3.12.1", "torch": "2.9", "lightning": "2.6", "seisml": "0.1.0", "git": "0123abc"}


def write_run(
    folder: Path,
    accuracy: float = 0.8,
    seed: int = 0,
    rate: float = 0.001,
    classes: tuple[str, ...] = CLASSES,
    n: int = 60,
    split_hash: str = "73cd25309a",
) -> Path:
    """A finished run of a classifier."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(seed, rate)), encoding="utf-8")
    random = np.random.default_rng(seed)
    true = np.arange(n) % len(classes)
    answer = np.where(random.random(n) < accuracy, true, (true + 1) % len(classes))
    probability = random.dirichlet(np.ones(len(classes)), n) * 0.4 + 0.6 * np.eye(len(classes))[answer]
    table = pd.DataFrame({"record": [f"r{i}" for i in range(n)], "event": [f"e{i // 2}" for i in range(n)],
                          "true": np.array(classes)[true], "predicted": np.array(classes)[answer]})  # fmt: skip
    for number, name in enumerate(classes):
        table[f"probability_{name}"] = probability[:, number]
    table.to_csv(folder / "predictions.csv", index=False)
    epochs = np.arange(5)
    log = pd.DataFrame({"epoch": epochs, "step": epochs * 3 + 2, "train/loss": np.exp(-epochs / 2.0),
                        "dev/loss": np.exp(-epochs / 3.0), "train/acc": 1 - 0.6 * np.exp(-epochs / 2.0)})  # fmt: skip
    log.to_csv(folder / "metrics.csv", index=False)
    parts = np.array(["train", "dev", "test"])[np.minimum(np.arange(n) // 20, 2)]
    pd.DataFrame({"part": parts, "trace_category": np.array(classes)[true]}).to_csv(folder / "split.csv", index=False)
    counts = np.bincount(true * len(classes) + answer, minlength=len(classes) ** 2).reshape(len(classes), -1)
    (folder / "metrics.json").write_text(json.dumps(metrics(accuracy, counts, classes, split_hash)), encoding="utf-8")
    write_picture(folder / "figures" / "gallery.png")
    write_picture(folder / "figures" / "loss_curves.png")
    write_hydra(folder, [f"seed={seed}", f"exp_params.LR={rate}"])
    return folder


def settings(seed: int, rate: float) -> dict[str, Any]:
    return {
        "seed": seed,
        "out": f"runs/{seed}",
        "dataset": {"root": "data/mine", "split_by": "event", "seed": seed},
        "model_params": {"name": "Supervised", "backbone_type": "SmallResNetEncoder"},
        "exp_params": {"LR": rate},
    }


def metrics(accuracy: float, counts: np.ndarray, classes: tuple[str, ...], split_hash: str) -> dict[str, Any]:
    each = {"precision": 0.7, "precision_interval": [0.6, 0.8], "recall": 0.5, "recall_interval": None, "f1": 0.6}
    return {
        "classes": list(classes),
        "test/classes": list(classes),
        "test/acc": accuracy,
        "test/acc_interval": [accuracy - 0.1, accuracy + 0.1],
        "test/f1_macro": accuracy - 0.05,
        "test/constant_acc": 0.4,
        "test/confusion_matrix": counts.tolist(),
        "test/per_class": {name: {**each, "support": 20} for name in classes},
        "records": {"train": 40, "dev": 10, "test": 10},
        "events": {"train": 20, "dev": 5, "test": 5},
        "split_hash": split_hash,
        "seconds": {"total": 12.0},
        "versions": VERSIONS,
    }


def write_hydra(folder: Path, overrides: list[str]) -> None:
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides), encoding="utf-8")
    (folder / ".hydra" / "hydra.yaml").write_text("hydra:\n  job:\n    name: finetune\n", encoding="utf-8")


def write_picture(path: Path, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)


def write_folds(folder: Path, accuracies: tuple[float, ...] = (0.7, 0.8, 0.9), rate: float = 0.001) -> Path:
    """A cross-validation."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(0, rate)), encoding="utf-8")
    for number, accuracy in enumerate(accuracies):
        write_run(folder / f"fold{number}", accuracy, rate=rate, split_hash=f"hash{number}")
    values = {"classes": list(CLASSES), "folds": len(accuracies), "versions": VERSIONS}
    values |= {"test/acc": float(np.mean(accuracies)), "test/acc_std": float(np.std(accuracies, ddof=1))}
    (folder / "metrics.json").write_text(json.dumps(values), encoding="utf-8")
    return folder
