"""Accuracies side by side: bars for a few numbers, curves over the fraction of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from seisml.errors import UserError
from seisml.evaluation.figures.style import (
    BLUE,
    INK,
    LABEL,
    SMALL,
    add_title,
    new_figure,
    plain,
    tidy,
)


def accuracy_bars(
    table: Mapping[str, float | Sequence[float]], title: str = "Test accuracy", chance: float | None = None
) -> Figure:
    """Draw one bar per row of a small table, with its value written beside it.

    Args:
        table: Name -> accuracy, or name -> (mean, spread), each in [0, 1]; drawn from top to bottom.
        title: Figure title; say here what the spread is.
        chance: Accuracy of guessing, drawn as a dashed line.

    Returns:
        The figure.

    Raises:
        UserError: The table is empty.
    """
    if not table:
        raise UserError("no accuracies to draw: the table is empty")
    names = list(table)
    pairs = [
        (float(v), None) if np.isscalar(v) else (float(v[0]), v[1] if len(v) > 1 else None) for v in table.values()
    ]
    figure = new_figure(6.4, 1.1 + 0.42 * len(names) + (0.25 if chance is not None else 0))
    axes = figure.add_subplot()
    for row, (mean, spread) in enumerate(pairs):
        if np.isfinite(mean):
            axes.barh(row, mean, height=0.62, color=BLUE)
        if spread is not None and np.isfinite(spread):
            axes.errorbar(mean, row, xerr=spread, color=INK, capsize=3, linewidth=1.3)
        text = (
            "no value" if not np.isfinite(mean) else f"{mean:.1%}" + (f" ± {spread:.1%}" if spread is not None else "")
        )
        end = (mean if np.isfinite(mean) else 0) + (spread or 0)
        axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", fontsize=LABEL, color=INK)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    if chance is not None:
        axes.axvline(chance, color=INK, linestyle="--", linewidth=1.1)
        axes.annotate(
            f"chance {100 * chance:.3g}%", (chance, 1), (3, 1), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=SMALL, va="bottom",
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [plain(name, 40) for name in names], fontsize=LABEL)
    axes.tick_params(axis="y", length=0, labelsize=LABEL)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.28)  # room for the values beside full bars
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.spines["bottom"].set_bounds(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    add_title(figure, title)
    return figure
