"""Figures of a comparison: what each way to use the labels gains, and how accuracy grows with their number."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from seisml.errors import UserError
from seisml.evaluation.figures.style import INK, LABEL, MARKERS, SMALL, add_title, color, new_figure, plain, tidy


def difference_map(summary: pd.DataFrame) -> Figure:
    """Draw the paired difference of every row to training from scratch: a column for each probe and number of labels.

    Args:
        summary: Columns ``probe``, ``labels``, ``row``, ``acc``, ``to_scratch`` (NaN for scratch) and
            ``to_scratch_real``.

    Returns:
        The figure; differences whose interval excludes zero stand in bold, the row of scratch shows its accuracy.

    Raises:
        UserError: The table is empty.
    """
    if not len(summary):
        raise UserError("no differences to draw: the table is empty")
    columns = list(dict.fromkeys(zip(summary["probe"], summary["labels"], strict=True)))
    names = list(dict.fromkeys(summary["row"]))
    lines = {(line["probe"], line["labels"], line["row"]): line for line in summary.to_dict("records")}
    values = np.full((len(names), len(columns)), np.nan)
    figure = new_figure(2.6 + 0.85 * len(columns), 1.5 + 0.36 * len(names))
    axes = figure.add_subplot()
    for y, name in enumerate(names):
        for x, column in enumerate(columns):
            line = lines.get((*column, name))
            difference = line.get("to_scratch", np.nan) if line else np.nan
            values[y, x] = difference
            if line is None:
                continue
            is_real = line.get("to_scratch_real") is True
            text = f"{100 * difference:+.1f}" if np.isfinite(difference) else f"{100 * line['acc']:.1f}%"
            axes.text(
                x, y, text, ha="center", va="center", fontsize=SMALL, color=INK, weight="bold" if is_real else None
            )
    reach = max(0.05, float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.05)
    image = axes.imshow(values, cmap="RdBu", vmin=-1.6 * reach, vmax=1.6 * reach, aspect="auto")  # pale enough for text
    image.set_zorder(-1)
    axes.set_yticks(range(len(names)), [plain(name, 40) for name in names], fontsize=SMALL)
    axes.set_xticks(range(len(columns)), [f"{plain(probe, 16)}\n{labels}" for probe, labels in columns], fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    title = "Accuracy from scratch, and percentage points that other rows gain on it; bold: the interval excludes zero"
    add_title(figure, title)
    return figure


def label_curves(summary: pd.DataFrame) -> Figure:
    """Draw accuracy over the number of labelled training events, a panel for each probe and a line for each row.

    Args:
        summary: Columns ``probe``, ``row``, ``train_events``, ``acc`` and ``acc_std`` (over the trials).

    Returns:
        The figure; error bars are one standard deviation over the trials.

    Raises:
        UserError: The table is empty.
    """
    if not len(summary):
        raise UserError("no curves to draw: the table is empty")
    probes, names = list(dict.fromkeys(summary["probe"])), list(dict.fromkeys(summary["row"]))
    figure = new_figure(1.2 + 4.6 * len(probes), 4.4)
    panels = figure.subplots(1, len(probes), squeeze=False, sharey=True)[0]
    handles = {}
    for axes, probe in zip(panels, probes, strict=True):
        part = summary[summary["probe"] == probe]
        for index, name in enumerate(names):
            some = part[part["row"] == name].sort_values("train_events")
            if not len(some):
                continue
            dodge = 1.025 ** (index - (len(names) - 1) / 2)  # side by side, so that error bars do not hide each other
            handles[plain(name, 40)] = axes.errorbar(
                some["train_events"] * dodge, some["acc"], yerr=some["acc_std"].fillna(0), capsize=2, linewidth=1.5,
                marker=MARKERS[index % len(MARKERS)], markersize=5, color=color(index),
            )  # fmt: skip
        tidy(axes)
        axes.set_xscale("log")
        ticks = np.unique(part["train_events"].round())
        axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_title(plain(probe, 40), fontsize=LABEL, loc="left", color=INK)
        axes.set_xlabel("labelled training events", fontsize=LABEL)
    panels[0].set_ylabel("test accuracy", fontsize=LABEL)
    options = {"fontsize": SMALL, "frameon": False, "loc": "outside lower center"}
    figure.legend(handles.values(), handles.keys(), ncols=min(4, max(2, 2 * len(probes))), **options)
    add_title(figure, "Mean and standard deviation over the trials")
    return figure
