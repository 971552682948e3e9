"""Loss curves: what a logger's CSV file tells about a training run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seisml.errors import UserError
from seisml.evaluation.figures.style import (
    BLUE,
    GREEN,
    INK,
    LABEL,
    MARKERS,
    VERMILION,
    add_legend,
    add_title,
    color,
    new_figure,
    plain,
    tidy,
)

SPLIT_COLORS = {"train": BLUE, "dev": GREEN, "val": GREEN, "test": VERMILION, "": INK}
LINE_STYLES = ("-", "--", ":", "-.")
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


def loss_curves(
    log: pd.DataFrame | str | Path, title: str | None = None, chance: Mapping[str, float] | None = None
) -> Figure:
    """Draw losses, accuracies, loss terms, collapse monitors and learning rate, each panel only where it was logged.

    Values are averaged per epoch; a run of a single epoch is drawn per step. A panel whose positive values span more
    than a factor of 20 is logarithmic.

    Args:
        log: Table or path of Lightning's CSVLogger ``metrics.csv``: a column per metric named ``split/metric``
            (``train/loss``, ``dev/acc``, ``lr-Adam``), ``epoch`` and ``step``, empty cells where a row has no value.
        title: Figure title.
        chance: Level of some metrics where nothing was learned, by column; a thin dotted line beside the curve.

    Returns:
        The figure.

    Raises:
        UserError: The file cannot be read or holds no numbers to draw.
    """
    frame = log if isinstance(log, pd.DataFrame) else _read(Path(log))
    x_name, x = _x_values(frame)
    panels: dict[str, dict[str, pd.Series]] = {}
    for column in frame.columns:
        name = _metric(column)[1].lower()
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

    shown = [name for name in ORDER if name in panels]
    columns = min(3, len(shown)) if len(shown) != 4 else 2
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(max(4.4 * columns, 5.0), 3.2 * rows + (0.3 if title else 0))
    if title:
        add_title(figure, title)
    ends = [
        x for panel in panels.values() for column, curve in panel.items() if "test" not in column for x in curve.index
    ]
    for number, name in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, columns, number)
        _panel(axes, name, panels[name], max(ends, default=None), chance or {})
        if len(set(ends)) > 1:
            margin = 0.02 * (max(ends) - min(ends))
            axes.set_xlim(min(ends) - margin, max(ends) + margin)
        if number > len(shown) - columns:
            axes.set_xlabel(x_name, fontsize=LABEL)
    return figure


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"cannot read {path} ({error}): give the metrics.csv of a run's CSV logger") from error


def _metric(column: str) -> tuple[str, str]:
    """Split a column name into (split, metric); the split is empty where none is named."""
    for separator in ("/", "_"):
        split, found, metric = str(column).partition(separator)
        if found and split in SPLIT_COLORS:
            return split, metric
    return "", str(column).rpartition("/")[2] if not str(column).startswith("lr") else str(column)


def _x_values(frame: pd.DataFrame) -> tuple[str, pd.Series]:
    """Return the name and values of the horizontal axis: epochs from 1, or steps within a single epoch."""
    if "epoch" in frame and (frame["epoch"].nunique() > 2 or "step" not in frame):
        return "epoch", frame["epoch"].ffill().fillna(0) + 1
    if "step" in frame:
        return "step", frame["step"].ffill().fillna(0)
    return "row", pd.Series(np.arange(len(frame)), index=frame.index)


def _panel(
    axes: Axes, name: str, curves: dict[str, pd.Series], last: float | None, chance: Mapping[str, float]
) -> None:
    """Draw one panel: colours tell splits where there are several metrics to compare, else metrics."""
    metrics = list(dict.fromkeys(_metric(column)[1].removesuffix("_epoch") for column in curves))
    by_split = name in ("loss", "accuracy")
    for column, curve in curves.items():
        split, metric = _metric(column)
        index = metrics.index(metric.removesuffix("_epoch"))
        x = curve.index.to_numpy()
        x = x if last is None else np.minimum(x, last)  # the closing test is logged one epoch after the last
        label = f"{split} {metric}".strip() if name != "loss" or not split else split
        splits = list(dict.fromkeys(_metric(other)[0] for other in curves))
        shade = SPLIT_COLORS[split] if by_split else color(index)
        if column in chance:
            axes.axhline(
                chance[column],
                color=shade,
                linestyle=(0, (1, 3)),
                linewidth=1.2,
                label=plain(f"chance of {metric}".replace("_", " "), 32),
            )
        axes.plot(
            x,
            curve.to_numpy(),
            color=shade,
            linestyle=LINE_STYLES[(index if by_split else splits.index(split)) % len(LINE_STYLES)],
            linewidth=1.6,
            marker=MARKERS[index % len(MARKERS)] if len(curve) <= 25 else None,
            markersize=3.5 if len(curve) > 1 else 7,
            label=plain(label.removesuffix("_epoch").replace("_", " "), 32),
        )
    tidy(axes)
    axes.set_ylabel(name, fontsize=LABEL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _scale(axes, name, np.concatenate([curve.to_numpy() for curve in curves.values()]))
    if name != "learning rate" or len(curves) > 1:  # above the panel, where it hides no curve
        add_legend(axes, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.2, borderpad=0.1)


def _scale(axes: Axes, name: str, values: np.ndarray) -> None:
    """Choose the vertical scale of a panel."""
    if name == "accuracy":
        axes.set_ylim(-0.02, 1.02)
        return
    positive = values[values > 0]
    if name != "learning rate" and len(positive) and positive.max() > 20 * positive.min():
        if values.min() > 0:
            axes.set_yscale("log")
            return
        if values.min() == 0:
            axes.set_yscale("symlog", linthresh=float(np.quantile(positive, 0.05)))
    if values.min() >= 0:
        axes.set_ylim(bottom=0)
