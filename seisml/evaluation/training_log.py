"""What a logger's CSV file tells about a training run: curves, sorted into the panels that they are drawn in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seisml.errors import UserError

SPLITS = ("train", "dev", "val", "test")
NOT_CURVES = ("epoch", "step", "time", "second", "memory", "sample", "index")

# panel title -> does a metric (name without its split, lower case) belong there; the first that fits takes it
PANELS: dict[str, Callable[[str], bool]] = {
    "learning rate": lambda name: name.startswith(("lr", "learning_rate")),
    "loss": lambda name: name == "loss",
    "accuracy": lambda name: any(word in name for word in ("acc", "f1", "precision", "recall")),
    "effective rank": lambda name: "rank" in name,
    "features": lambda name: "std" in name or "correlation" in name,
    "loss terms": lambda name: True,
}
ORDER = ("loss", "accuracy", "loss terms", "features", "effective rank", "learning rate")


@dataclass(frozen=True)
class TrainingCurves:
    """Curves of a run.

    Attributes:
        x_name: What the horizontal axis is: ``epoch`` (from 1 on), ``step`` or ``row``.
        panels: Panel title -> column of the log -> values by x; in the order in which panels are drawn, none empty.
    """

    x_name: str
    panels: dict[str, dict[str, pd.Series]]

    @property
    def ends(self) -> tuple[float, float] | None:
        """The smallest and the largest x of training; the closing test is logged one epoch behind it."""
        x = [x for panel in self.panels.values() for column, curve in panel.items() if "test" not in column
             for x in curve.index]  # fmt: skip
        return (min(x), max(x)) if x else None


def training_curves(log: pd.DataFrame | str | Path) -> TrainingCurves:
    """Sort what was logged into panels, averaged per epoch; a run of a single epoch is taken per step.

    Args:
        log: Table or path of Lightning's CSVLogger ``metrics.csv``: a column per metric named ``split/metric``
            (``train/loss``, ``dev/acc``, ``lr-Adam``), ``epoch`` and ``step``, empty cells where a row has no value.

    Raises:
        UserError: The file cannot be read or holds no numbers.
    """
    frame = log if isinstance(log, pd.DataFrame) else _read(Path(log))
    x_name, x = _x_values(frame)
    panels: dict[str, dict[str, pd.Series]] = {}
    for column in map(str, frame.columns):
        name = split_metric(column)[1].lower()
        if name.endswith("_step") and any(column[: -len("step")] + "epoch" == other for other in frame.columns):
            continue  # Lightning logs both; the epoch's mean says it
        name = name.removesuffix("_epoch").removesuffix("_step")
        per_class = "/" in name and not name.startswith("lr")  # too many to draw, and in metrics.json
        if not name or per_class or any(word in name.split("_") for word in NOT_CURVES):
            continue
        values = pd.to_numeric(frame[column], errors="coerce").replace([np.inf, -np.inf], np.nan)
        curve = values.groupby(x).mean().dropna()
        if len(curve):
            panels.setdefault(next(p for p, fits in PANELS.items() if fits(name)), {})[column] = curve
    if not panels:
        raise UserError(
            f"no losses to draw in {log if not isinstance(log, pd.DataFrame) else 'the table'}: no epoch ended"
        )
    return TrainingCurves(x_name, {name: panels[name] for name in ORDER if name in panels})


def split_metric(column: str) -> tuple[str, str]:
    """Split a column name into (split, metric); the split is empty where none is named."""
    for separator in ("/", "_"):
        split, found, metric = column.partition(separator)
        if found and split in SPLITS:
            return split, metric
    return "", column if column.startswith("lr") else column.rpartition("/")[2]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"cannot read {path} ({error}): give the metrics.csv of a run's CSV logger") from error


def _x_values(frame: pd.DataFrame) -> tuple[str, pd.Series]:
    """Return the name and values of the horizontal axis: epochs from 1, or steps within a single epoch."""
    epoch, step = (pd.to_numeric(frame[name], errors="coerce") if name in frame else None for name in ("epoch", "step"))
    if epoch is not None and (epoch.nunique() > 2 or step is None):
        return "epoch", epoch.ffill().fillna(0) + 1
    if step is not None:
        return "step", step.ffill().fillna(0)
    return "row", pd.Series(np.arange(len(frame)), index=frame.index)
