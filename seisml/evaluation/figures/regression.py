"""How predicted numbers compare with true ones."""

from __future__ import annotations

from collections.abc import Mapping
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
    color,
    new_figure,
    plain,
    tidy,
    time_unit,
    to_numpy,
)


def residuals(predicted: Any, true: Any, name: str, unit: str, constant: float, title: str | None = None) -> Figure:
    """Draw predicted against true values, and the errors, those of a constant answer beside them.

    Args:
        predicted: (N,).
        true: (N,), in the same unit.
        name: What is predicted.
        unit: Its unit; may be empty.
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
    label = f"{plain(name, 40)} ({unit})" if unit else plain(name, 40)
    figure = new_figure(10.0, 4.6)
    left, right = figure.subplots(1, 2)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    margin = 0.05 * max(ends[1] - ends[0], 1e-12)
    ends = [ends[0] - margin, ends[1] + margin]
    left.plot(ends, ends, color=INK, linewidth=1, label="equal")
    left.axhline(constant, color=ORANGE, linewidth=1.4, linestyle="--", label=f"constant, {constant:.3g}")
    left.scatter(x, y, s=float(np.clip(4000 / len(x), 8, 36)), color=BLUE, alpha=0.7, edgecolor="white", linewidth=0.4)
    left.set(xlim=ends, ylim=ends, aspect="equal")
    left.set_xlabel(f"true {label}", fontsize=LABEL)
    left.set_ylabel(f"predicted {label}", fontsize=LABEL)

    widest = float(np.abs(np.concatenate([error, blind])).max()) or 1.0
    edges = np.linspace(-widest, widest, 2 * int(np.clip(len(x) // 4, 8, 20)))  # an even number: one bin about zero
    right.hist(error, edges, color=BLUE, alpha=0.8, label="prediction")
    right.hist(blind, edges, color=ORANGE, histtype="step", linewidth=1.8, label="constant")
    right.axvline(0, color=GREY, linewidth=1)
    right.set_xlabel(f"predicted - true {label}", fontsize=LABEL)
    right.set_ylabel("records", fontsize=LABEL)
    for axes in (left, right):
        tidy(axes)
        add_legend(axes, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderpad=0.1)  # hides no point
    add_title(
        figure,
        title
        or f"Mean absolute error {np.abs(error).mean():.3g} {unit}".rstrip()
        + f", of the constant {np.abs(blind).mean():.3g} {unit}".rstrip()
        + f" ({len(x)} records)",
    )
    return figure


def course(
    time: Any, true: Any, answers: Mapping[str, Any], name: str, unit: str, constant: float, title: str | None = None
) -> Figure:
    """Draw true and predicted values against time.

    Args:
        time: (N,) in s, in any order.
        true: (N,).
        answers: Predictions by what they are called, (N,) each, in the same unit.
        name: What is predicted.
        unit: Its unit; may be empty.
        constant: The answer of the predictor that ignores its input.
        title: Figure title; by default the mean absolute errors.

    Returns:
        The figure.

    Raises:
        ValueError: The arrays are empty or not of one shape (N,).
    """
    x, y = to_numpy(time).astype(float), to_numpy(true).astype(float)
    said = {key: to_numpy(values).astype(float) for key, values in answers.items()}
    if x.ndim != 1 or not len(x) or any(values.shape != x.shape for values in (y, *said.values())):
        raise ValueError(f"time {x.shape}, true {y.shape} and all answers should be (N,), N >= 1")
    order = np.argsort(x, kind="stable")
    factor, time_name = time_unit(float(x.max()))
    figure = new_figure(10.0, 4.2)
    axes = figure.subplots()
    size = float(np.clip(3000 / len(x), 2, 20))
    for number, (key, values) in enumerate(said.items()):
        axes.scatter(x * factor, values, s=size, color=color(2 * number), alpha=0.6, linewidth=0, label=key)
    axes.plot(x[order] * factor, y[order], color=INK, linewidth=1.4, label="true")
    axes.axhline(constant, color=ORANGE, linewidth=1.4, linestyle="--", label=f"constant, {constant:.3g}")
    axes.set_xlabel(f"time ({time_name})", fontsize=LABEL)
    axes.set_ylabel(f"{plain(name, 40)} ({unit})" if unit else plain(name, 40), fontsize=LABEL)
    tidy(axes)
    add_legend(axes, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(said) + 2, borderpad=0.1)
    errors = {**said, "constant": np.full(len(x), constant)}
    listed = ", ".join(f"{key} {np.abs(values - y).mean():.3g}" for key, values in errors.items())
    add_title(figure, title or f"Mean absolute errors{f' ({unit})' if unit else ''}: {listed}")
    return figure


def courses(
    runs: Mapping[str, tuple[Any, Any, Any]], name: str, unit: str, constant: float, title: str | None = None
) -> Figure:
    """Draw true and predicted values against time, a strip for each of several approaches.

    Args:
        runs: Approach -> time in s, true and predicted values, (N,) each, in any order.
        name: What is predicted.
        unit: Its unit; may be empty.
        constant: The answer of the predictor that ignores its input.
        title: Figure title.

    Returns:
        The figure.

    Raises:
        ValueError: There is no approach, or its arrays are empty or not of one shape (N,).
    """
    found = {key: [to_numpy(part).astype(float) for part in parts] for key, parts in runs.items()}
    for key, (time, *values) in found.items():
        if time.ndim != 1 or not len(time) or any(part.shape != time.shape for part in values):
            raise ValueError(f"{key}: time, true and predicted values should be (N,), N >= 1")
    if not found:
        raise ValueError("there is nothing to draw")
    factor, time_name = time_unit(max(float(time.max()) for time, _, _ in found.values()))
    figure = new_figure(10.0, 1.2 + 1.5 * len(found))
    strips = figure.subplots(len(found), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for number, (axes, (key, (time, true, predicted))) in enumerate(zip(strips, found.items(), strict=True)):
        order = np.argsort(time, kind="stable")
        axes.axhline(constant, color=ORANGE, linewidth=1.2, linestyle="--", label=f"constant, {constant:.3g}")
        axes.scatter(time * factor, predicted, s=5, color=BLUE, alpha=0.5, linewidth=0, label="predicted")
        axes.plot(time[order] * factor, true[order], color=INK, linewidth=1.2, label="true")
        error = f"{key}: mean absolute error {np.abs(predicted - true).mean():.3g} {unit}".rstrip()
        axes.set_title(error, fontsize=LABEL, loc="left")
        tidy(axes)
        if not number:
            add_legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0.1)
    strips[-1].set_xlabel(f"time ({time_name})", fontsize=LABEL)
    figure.supylabel(f"{plain(name, 40)} ({unit})" if unit else plain(name, 40), fontsize=LABEL)
    if title:
        add_title(figure, title)
    return figure
