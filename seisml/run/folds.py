"""Cross-validation: a run for each fold of the data, and a summary of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from seisml.data.datamodule import StoreDataModule
from seisml.data.folds import fold_splits, thinned
from seisml.data.splits import Split
from seisml.errors import UserError
from seisml.evaluation.metrics import classification_metrics
from seisml.run.build import build_section, method_class
from seisml.run.folder import write_config
from seisml.run.messages import say
from seisml.run.record import versions, write_metrics
from seisml.run.results import RunResult
from seisml.run.settings import changed
from seisml.run.train import train
from seisml.terminal.text_table import text_table, with_interval
from seisml.values.file_names import METRICS_FILE, PREDICTIONS_FILE


def train_or_cross_validate(cfg: DictConfig, folder: str | Path) -> RunResult | dict[str, Any]:
    """Run once, or once for each fold where ``evaluation.folds`` asks for that."""
    n_folds = OmegaConf.select(cfg, "evaluation.folds")
    return train(cfg, folder) if n_folds is None else cross_validate(cfg, Path(folder), n_folds)


def cross_validate(cfg: DictConfig, folder: Path, n_folds: int) -> dict[str, Any]:
    """Train and test on each fold; every labelled event is tested once (but see ``split_by=station``).

    Classes and their weights come from the whole data set, so that every fold has the same. ``train_data_ratio`` by
    what ``test_data_ratio`` leaves is the share of a fold's training events that train: all of them with 0.8 and 0.2.
    Folds that an interrupted run has finished are not trained again.

    Args:
        cfg: A composed configuration.
        folder: Its folder: ``splits/`` holds the folds, ``fold0/`` and so on their runs, ``metrics.json`` what
            :func:`summary` makes of them.
        n_folds: Number of folds.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: The data make no such folds.
    """
    write_config(cfg, folder)
    results = []
    data = open_all(cfg)
    for number, split in enumerate(folds_of(data, cfg, n_folds)):
        path = folder / "splits" / f"fold{number}.csv"
        split.write(path, data.ready_store.metadata)
        say(f"\n== fold {number + 1} of {n_folds}")
        run = folder / f"fold{number}"
        done = (run / METRICS_FILE).is_file()  # by an interrupted run of this configuration: see claim_folder
        results.append((RunResult.read(run) if done else train(one_fold(cfg, path), run)).metrics)
    metrics = summary(results)
    if "classes" in metrics:
        metrics |= pooled([folder / f"fold{number}" for number in range(len(results))], metrics["classes"])
    write_metrics(folder, metrics)
    headline = [name for name in ("test/acc", "test/f1_macro", "test/mae", "test/constant_acc") if name in metrics]
    rows = [{"fold": str(number)} | {name: fold[name] for name in headline} for number, fold in enumerate(results)]
    rows += [{"fold": "mean"} | {name: metrics[name] for name in headline}]
    rows += [{"fold": "standard deviation"} | {name: metrics[f"{name}_std"] for name in headline}]
    say(f"\n{text_table(rows, f'{n_folds} folds')}")
    if "pooled/n" in metrics:
        say(
            f"\nAll {metrics['pooled/n']} predictions, {metrics['pooled/n_events']} events: accuracy "
            f"{with_interval(metrics['pooled/acc'], metrics['pooled/acc_interval'])}, macro F1 "
            f"{with_interval(metrics['pooled/f1_macro'], metrics['pooled/f1_macro_interval'])}"
        )
    say(f"metrics     {folder / METRICS_FILE}")
    return metrics


def open_all(cfg: DictConfig) -> StoreDataModule:
    """Open a configuration's data to draw splits from.

    Raises:
        UserError: The data are those of pretraining, which has no test to repeat.
    """
    settings: Any = OmegaConf.to_container(cfg.dataset, resolve=True)
    if settings.get("is_ssl"):
        raise UserError("evaluation.folds: pretraining tests nothing; use it with finetune.py")
    if settings.get("split_procedure") != "column":  # the usual split is not looked at, and must not be in the way
        settings["split_procedure"] = "fixed_test"
    data = build_section("dataset", settings, StoreDataModule)
    data.task = method_class(cfg).task
    data.prepare_data()
    data.setup()
    return data


def folds_of(data: StoreDataModule, cfg: DictConfig, n_folds: int) -> list[Split]:
    """The folds of opened data, thinned to the configuration's share of training events and with its dev part."""
    train_ratio, test_ratio, dev_ratio = (
        float(OmegaConf.select(cfg, f"dataset.{part}_data_ratio", default=usual))
        for part, usual in (("train", 0.8), ("test", 0.2), ("dev", 0.0))
    )
    dev_ratio = 0.0 if data.dev_from == "train" else dev_ratio  # each fold's run takes it from what trains
    draw, labelled = data.group_draw(), data.labelled(np.arange(len(data.ready_store)))
    share = min(1.0, train_ratio / (1 - test_ratio))
    return [thinned(split, draw, share, dev_ratio) for split in fold_splits(draw, labelled, n_folds, data.split_by)]


def one_fold(cfg: DictConfig, split_file: Path) -> DictConfig:
    """The configuration of one fold's run."""
    return changed(cfg, {"dataset.split_file": str(split_file), "evaluation.folds": None})


def summary(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the metrics of folds together.

    Args:
        folds: ``metrics.json`` of each fold.

    Returns:
        The mean of every number that all folds have, under its name, its standard deviation (with Bessel's correction)
        as ``NAME_std`` and its values as ``NAME_folds``; the sum of the confusion matrices; ``classes``, ``folds``
        (their number) and ``versions``.
    """
    names = [name for name in folds[0] if all(_is_number(fold.get(name)) for fold in folds)]
    values = {name: [float(fold[name]) for fold in folds] for name in names}
    found: dict[str, Any] = {"folds": len(folds), "versions": versions()}
    found |= {name: folds[0][name] for name in ("classes", "test/classes") if name in folds[0]}
    matrices = [fold.get("test/confusion_matrix") for fold in folds]
    if all(matrix is not None for matrix in matrices):
        found["test/confusion_matrix"] = np.sum(matrices, axis=0).tolist()
    found |= {name: statistics.fmean(some) for name, some in values.items()}
    found |= {f"{name}_std": statistics.stdev(some) for name, some in values.items()}
    return found | {f"{name}_folds": some for name, some in values.items()}


def pooled(runs: Sequence[Path], classes: Sequence[str]) -> dict[str, Any]:
    """Score the predictions of all folds together: intervals that resample all events, and not those of one fold.

    Args:
        runs: Folders of the folds' runs.
        classes: The classes of all of them.

    Returns:
        What :func:`seisml.evaluation.metrics.classification_metrics` gives, as ``pooled/...``.
    """
    tables = [pd.read_csv(run / PREDICTIONS_FILE, dtype={"event": str, "true": str}) for run in runs]
    table = pd.concat(tables, ignore_index=True)
    probability = table[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
    label = pd.Index(classes).get_indexer(table["true"])
    score = torch.from_numpy(np.log(np.maximum(probability, np.finfo(np.float64).tiny)))
    found = classification_metrics(score, torch.from_numpy(label), classes, table["event"].to_numpy())
    return {f"pooled/{name}": value for name, value in found.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
