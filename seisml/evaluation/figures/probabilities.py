"""What the probabilities of a classifier are worth: calibration, and precision against recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from seisml.evaluation.calibration import BINS, expected_calibration_error, reliability
from seisml.evaluation.decision import Decision, event_probability
from seisml.evaluation.figures.style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    SMALL,
    add_legend,
    add_title,
    color,
    new_figure,
    plain,
    tidy,
)
from seisml.evaluation.precision_recall import precision_recall as precision_recall_of

MOST_CURVES = 8  # classes with a curve of their own: those with the most samples


def calibration_curve(probability: Tensor, label: Tensor) -> Figure:
    """Draw how often answers are right against how sure they are, and how many there are of each.

    Args:
        probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.
    """
    found = reliability(probability, label)
    figure = new_figure(4.6, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = found.count > 0
    upper.plot((0, 1), (0, 1), "--", color=GREY, linewidth=1.1)
    upper.annotate("as often right as sure", (0.04, 0.09), rotation=45, fontsize=SMALL, color="#666666")
    spread = np.sqrt(found.accuracy * (1 - found.accuracy) / np.maximum(found.count, 1))
    upper.errorbar(
        found.probability[filled], found.accuracy[filled], yerr=spread[filled], marker="o", color=BLUE, linewidth=1.6,
        capsize=3,
    )  # fmt: skip
    edges = np.arange(BINS) / BINS
    lower.bar(edges, found.count, width=1 / BINS, align="edge", color=BLUE, edgecolor="white")
    upper.set_ylabel("share that is right", fontsize=LABEL)
    lower.set_ylabel("samples", fontsize=LABEL)
    lower.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    lower.set_xlabel("probability of the answer", fontsize=LABEL)
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    for axes in (upper, lower):
        tidy(axes)
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    error = expected_calibration_error(probability, label)
    add_title(figure, f"Calibration: expected error {error:.3f} over {int(found.count.sum())} samples")
    return figure


def precision_recall(
    log_probability: Tensor, label: Tensor, classes: Sequence[str], decision: Decision | None = None
) -> Figure:
    """Draw precision against recall of each class against the others, and of events against noise.

    Args:
        log_probability: (N, K).
        label: (N,) class numbers; -1 means unlabelled and is left out.
        classes: Class names.
        decision: A threshold chosen on other samples; drawn where these give it.
    """
    known = label >= 0
    probability, true = log_probability[known].exp().numpy(), label[known].numpy()
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    counts = np.bincount(true, minlength=len(classes))
    for k in sorted(np.argsort(-counts, kind="stable")[:MOST_CURVES]):
        if 0 < counts[k] < len(true):
            _curve(axes, true == k, probability[:, k], f"{plain(classes[k])} ({counts[k]})", color(int(k)))
    if decision is not None:
        score, is_event = event_probability(log_probability, label, classes, decision.noise_class)
        if is_event.any() and not is_event.all():
            _curve(axes, is_event, score, f"any event ({is_event.sum()})", INK, "--")
            called = score >= decision.threshold
            if called.any():
                place = (is_event[called].mean(), called[is_event].mean())
                axes.plot(place[1], place[0], "o", color=INK, markersize=9, markerfacecolor="none", clip_on=False,
                          label=f"threshold {decision.threshold:.3g} of the dev part")  # fmt: skip
    tidy(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall: share of the class that is found", fontsize=LABEL)
    axes.set_ylabel("precision: share of the found that is right", fontsize=LABEL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    add_title(figure, "Precision and recall over all thresholds, each class against the others")
    if axes.lines:  # nothing is drawn of samples that all belong to one class
        add_legend(axes, loc="center left", bbox_to_anchor=(1.01, 0.5), title="class (samples), area below")
    return figure


def _curve(axes: Axes, member: np.ndarray, score: np.ndarray, name: str, shade: str, style: str = "-") -> None:
    found = precision_recall_of(member, score)
    if found is not None:
        label = f"{name}, {found.area:.3f}"
        axes.step(found.recall, found.precision, where="post", color=shade, linestyle=style, linewidth=1.7, label=label)
