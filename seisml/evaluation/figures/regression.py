"""How predicted numbers compare with true ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from seisml.evaluation.figures.style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    ORANGE,
    add_legend,
    add_title,
    new_figure,
    plain,
    tidy,
    to_numpy,
)


def residuals(predicted: Any, true: Any, name: str, constant: float, title: str | None = None) -> Figure:
    """Draw predicted against true values, and the errors, those of a constant answer beside them.

    Args:
        predicted: (N,).
        true: (N,), in the same unit.
        name: What is predicted, with its unit, for the axes.
        constant: The answer of the predictor that ignores its input.
        title: Figure title; by default both mean absolute errors.

    Returns:
        The figure.

    Raises:
        ValueError: The arrays are empty or not of one shape (N,).
    """
    x, y = to_numpy(true).astype(float), to_numpy(predicted).astype(float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"predicted {y.shape} and true {x.shape} should be (N,), N >= 1")
    error, blind = y - x, constant - x
    figure = new_figure(10.0, 4.6)
    left, right = figure.subplots(1, 2)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    margin = 0.05 * max(ends[1] - ends[0], 1e-12)
    ends = [ends[0] - margin, ends[1] + margin]
    left.plot(ends, ends, color=INK, linewidth=1, label="equal")
    left.axhline(constant, color=ORANGE, linewidth=1.4, linestyle="--", label=f"constant ({constant:.3g})")
    left.scatter(x, y, s=float(np.clip(4000 / len(x), 8, 36)), color=BLUE, alpha=0.7, edgecolor="white", linewidth=0.4)
    left.set(xlim=ends, ylim=ends, aspect="equal")
    left.set_xlabel(f"true {plain(name, 40)}", fontsize=LABEL)
    left.set_ylabel(f"predicted {plain(name, 40)}", fontsize=LABEL)

    edges = np.linspace(min(error.min(), blind.min()), max(error.max(), blind.max()), 2 + min(24, 4 + len(x) // 4))
    right.hist(blind, edges, color=ORANGE, alpha=0.35, label=f"constant answer, mean {np.abs(blind).mean():.3g}")
    right.hist(error, edges, color=BLUE, alpha=0.75, label=f"prediction, mean {np.abs(error).mean():.3g}")
    right.axvline(0, color=GREY, linewidth=1)
    right.set_xlabel(f"predicted - true {plain(name, 40)}", fontsize=LABEL)
    right.set_ylabel("records", fontsize=LABEL)
    for axes in (left, right):
        tidy(axes)
    add_legend(left, loc="upper left")
    add_legend(right, loc="upper right", title="absolute error")
    add_title(
        figure,
        title
        or f"Mean absolute error {np.abs(error).mean():.3g}, of a constant answer {np.abs(blind).mean():.3g} "
        f"({len(x)} records)",
    )
    return figure
