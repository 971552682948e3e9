"""Accuracies side by side: bars for a few numbers, curves over the fraction of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from seisml.errors import UserError
from seisml.evaluation.figures.style import (
    BLUE,
    INK,
    LABEL,
    MARKERS,
    SMALL,
    add_legend,
    add_title,
    color,
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


def method_comparison(frame: pd.DataFrame, title: str | None = None, chance: float | None = None) -> Figure:
    """Draw accuracy over the fraction of labelled training events, one line per method.

    Args:
        frame: Columns ``method``, ``fraction`` (in (0, 1]) and ``accuracy``, and either a row per seed (the mean is
            drawn with one standard deviation, and each run as a faint point) or a column ``spread``.
        title: Figure title; by default it says what the error bars are.
        chance: Accuracy of guessing, drawn as a dashed line.

    Returns:
        The figure.

    Raises:
        UserError: A column is missing or the table is empty.
    """
    missing = {"method", "fraction", "accuracy"} - set(frame.columns)
    if missing or not len(frame):
        raise UserError(
            f"method_comparison needs rows with method, fraction and accuracy: missing {sorted(missing) or 'rows'}"
        )
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    fractions = np.sort(frame["fraction"].unique())
    methods = list(dict.fromkeys(frame["method"]))
    handles = {}
    runs = frame.groupby(["method", "fraction"])["accuracy"].count()
    for index, method in enumerate(methods):
        part = frame[frame["method"] == method].groupby("fraction")
        mean = part["accuracy"].mean()
        spread = part["spread"].mean() if "spread" in frame else part["accuracy"].std(ddof=1)
        dodge = 1.035 ** (index - (len(methods) - 1) / 2)  # side by side, so that error bars do not hide each other
        style = {"color": color(index), "zorder": 3}
        line = axes.errorbar(
            mean.index * dodge, mean, yerr=spread.fillna(0), marker=MARKERS[index % len(MARKERS)],
            markersize=6, linewidth=1.7, capsize=3, **style,
        )  # fmt: skip
        handles[plain(method, 40)] = line
        if "spread" not in frame and runs.max() > 1:
            rows = frame[frame["method"] == method]
            axes.scatter(rows["fraction"] * dodge * 1.02, rows["accuracy"], s=9, linewidth=0, alpha=0.7, **style)
    if chance is not None:
        line = axes.axhline(chance, color=INK, linestyle="--", linewidth=1.1)
        handles[f"chance {100 * chance:.3g}%"] = line
    tidy(axes)
    axes.set_xscale("log")
    axes.set_xticks(fractions, [f"{fraction:.3g}" for fraction in 100 * fractions])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("labelled training events used (%)", fontsize=LABEL)
    axes.set_ylabel("test accuracy", fontsize=LABEL)
    add_title(figure, title or _seeds(runs))
    add_legend(axes, handles=list(handles.values()), labels=list(handles), loc="best")
    return figure


def _seeds(runs: pd.Series) -> str:
    """Say what is drawn, from the number of runs behind each point."""
    if runs.max() <= 1:
        return "Accuracy over the fraction of labels"
    n = f"{runs.min()} to {runs.max()}" if runs.min() != runs.max() else f"{runs.max()}"
    return f"Mean and standard deviation over {n} seeds, and each seed"
