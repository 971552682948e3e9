"""Loss curves: what a logger's CSV file tells about a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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
from seisml.evaluation.training_log import split_metric, training_curves

SPLIT_COLORS = {"train": BLUE, "dev": GREEN, "val": GREEN, "test": VERMILION, "": INK}
LINE_STYLES = ("-", "--", ":", "-.")


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
    curves = training_curves(log)
    panels, shown = curves.panels, list(curves.panels)
    columns = min(3, len(shown)) if len(shown) != 4 else 2
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(max(4.4 * columns, 5.0), 3.2 * rows + (0.3 if title else 0))
    if title:
        add_title(figure, title)
    ends = curves.ends
    for number, name in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, columns, number)
        _panel(axes, name, panels[name], ends[1] if ends else None, chance or {})
        if ends and ends[0] < ends[1]:
            margin = 0.02 * (ends[1] - ends[0])
            axes.set_xlim(ends[0] - margin, ends[1] + margin)
        if number > len(shown) - columns:
            axes.set_xlabel(curves.x_name, fontsize=LABEL)
    return figure


def _panel(
    axes: Axes, name: str, curves: dict[str, pd.Series], last: float | None, chance: Mapping[str, float]
) -> None:
    """Draw one panel: colours tell splits where there are several metrics to compare, else metrics."""
    metrics = list(dict.fromkeys(split_metric(column)[1].removesuffix("_epoch") for column in curves))
    by_split = name in ("loss", "accuracy")
    for column, curve in curves.items():
        split, metric = split_metric(column)
        index = metrics.index(metric.removesuffix("_epoch"))
        x = curve.index.to_numpy()
        x = x if last is None else np.minimum(x, last)  # the closing test is logged one epoch after the last
        label = f"{split} {metric}".strip() if name != "loss" or not split else split
        splits = list(dict.fromkeys(split_metric(other)[0] for other in curves))
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
        axes.set_ylim(bottom=0, top=1.04 * axes.get_ylim()[1])  # room for the highest marker in a tall panel
