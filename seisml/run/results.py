"""What a run made: its metrics, whether it learned, its figures, and where everything is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from seisml.evaluation import figures
from seisml.evaluation.decision import Decision
from seisml.run.messages import events_of, parts_of, say_remarks, say_unlearned, seen_report
from seisml.run.record import versions
from seisml.values.file_names import METRICS_FILE

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.base import Predictions

LEARNED = 0.98  # of a constant answer's loss: a network that is stuck on it wavers by less than two hundredths


@dataclass(frozen=True)
class RunResult:
    """What :func:`seisml.run.train.train` returns.

    Attributes:
        folder: The run's folder.
        metrics: What ``metrics.json`` holds.
        checkpoint: The model to use: the best on the dev part where there is one, else the last.
        encoder: What ``load_encoder.ckpt_fname`` takes; None for a method without an encoder.
        figures: The file of each figure.
    """

    folder: Path
    metrics: dict[str, Any]
    checkpoint: Path
    encoder: Path | None
    figures: dict[str, Path]

    @classmethod
    def read(cls, folder: str | Path) -> RunResult:
        """Read the result of a finished run from its folder."""
        folder = Path(folder)
        metrics = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
        checkpoint, encoder = metrics["paths"]["checkpoint"], metrics["paths"]["encoder"]
        return cls(
            folder,
            metrics,
            folder / checkpoint,
            None if encoder is None else folder / encoder,
            {path.stem: path for path in sorted((folder / "figures").glob("*.png"))},
        )


def stored_paths(folder: Path, **paths: Path | None) -> dict[str, str | None]:
    """Paths as metrics.json has them: from the run's folder, which may be moved, or absolute where they lie outside."""
    inside = {name: path is not None and path.is_relative_to(folder) for name, path in paths.items()}
    return {
        name: None if path is None else str(path.relative_to(folder) if inside[name] else path.absolute())
        for name, path in paths.items()
    }


def gather_metrics(
    method: Method,
    data: StoreDataModule,
    predictions: Predictions | None,
    trained: Predictions | None,
    logged: Mapping[str, float],
    pretrained: dict[str, Any] | None,
) -> dict[str, Any]:
    """Everything that ``metrics.json`` says about a run, but how long it took and where it is.

    Args:
        method: The fitted method.
        data: Its data module.
        predictions: Of the test part.
        trained: Of records that the method was trained on.
        logged: The last of each value logged while training.
        pretrained: The encoder that the run started from.
    """
    metrics: dict[str, Any] = {**logged, **learning(method, data, logged)}
    if predictions is not None:
        known = data.labels_of(data.windows(data.labelled(data.split.train)))
        scores = method.task.compare(predictions, known, data.facts)
        metrics["test/predicted_by"] = predictions.made_by
        metrics |= {f"test/{name}": value for name, value in scores.items()}
        decision = Decision.from_record(method.run_record)
        if decision is not None:
            metrics["decision"] = decision.to_dict()
            metrics["test/decision"] = method.task.decided(decision, predictions, data.facts)
        say_remarks(method.task.remarks(scores, data.facts))
    if trained is not None:
        scores = method.task.metrics(trained, data.facts)
        metrics |= {f"trained/{name}": scores[name] for name in ("n", *method.task.compared)}
    return metrics | {
        "classes": list(data.facts.classes),
        "records": {part: len(rows) for part, (_, rows) in parts_of(data).items()},
        "events": {part: len(events_of(of, rows)) for part, (of, rows) in parts_of(data).items()},
        "split_hash": data.split.hash,
        "parameters": sum(weight.numel() for weight in method.parameters()),
        "chance": method.chance_levels(data.batch_size),
        "pretrained": seen_report(pretrained, data),
        "versions": versions(),
    }


def learning(method: Method, data: StoreDataModule, logged: Mapping[str, float]) -> dict[str, Any]:
    """Compare the training losses with those of an answer that ignores its input, and warn where they are no lower.

    Returns:
        ``part/constant_term`` for each loss ``part/term`` whose constant is known, and ``learned``: whether every one
        fell below it, None where none is known.
    """
    constant = method.constant_losses(data.training_labels())
    judged = {name: (logged[name], value) for name, value in constant.items() if name in logged and value > 0}
    stuck = {name: losses for name, losses in judged.items() if not losses[0] < LEARNED * losses[1]}
    say_unlearned(stuck)
    named = {"/constant_".join(name.rsplit("/", 1)): value for name, value in constant.items()}
    return named | {"learned": not stuck if judged else None}


def draw(
    folder: Path, predictions: Predictions | None, history: pd.DataFrame, method: Method, data: StoreDataModule
) -> dict[str, Path]:
    """Draw the run's figures.

    Args:
        folder: Where they go; made where missing.
        predictions: Of the test part.
        history: Logged values, one row per epoch.
        method: The fitted method.
        data: Its data module.

    Returns:
        The file of each figure.
    """
    chance = method.chance_levels(data.batch_size)
    made = {"loss_curves": figures.loss_curves(history, chance=chance)} if len(history) else {}
    if predictions is not None:
        made |= method.task.figures(predictions, method, data)
    return {name: figures.save(figure, folder / f"{name}.png") for name, figure in made.items()}
