"""What a classifier confuses, and how its encoder arranges the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from seisml.errors import UserError
from seisml.evaluation.figures.style import (
    GREY,
    INK,
    LABEL,
    PALE,
    SMALL,
    add_legend,
    add_title,
    color,
    marker,
    new_figure,
    plain,
    tidy,
    to_numpy,
)

TSNE_FEWEST = 12  # below that a neighbourhood means nothing, and principal axes are shown


def confusion_matrix(matrix: Any, classes: Sequence[str], title: str | None = None) -> Figure:
    """Draw a confusion matrix: colour is the fraction of the true class, the number is the count.

    Args:
        matrix: (K, K) counts, a row per true class and a column per predicted one.
        classes: The K class names.
        title: Figure title; by default the accuracy.

    Returns:
        The figure; rows without samples are hatched and say so.

    Raises:
        ValueError: The matrix is not (K, K).
    """
    counts = to_numpy(matrix)
    k = len(classes)
    if counts.shape != (k, k):
        raise ValueError(f"confusion matrix {counts.shape} should be ({k}, {k}) for {k} classes")
    support = counts.sum(axis=1)
    share = np.divide(counts, support[:, None], out=np.zeros((k, k)), where=support[:, None] > 0)

    side = max(2.6, 0.62 * k if k <= 10 else 0.46 * k)
    longest = max(len(plain(name)) for name in classes)
    digits = len(f"{support.max():g}") + 3
    figure = new_figure(side + 1.9 + 0.085 * (longest + digits), side + 0.9 + 0.055 * longest)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    size = LABEL if k <= 10 else SMALL - 1
    size -= 1.5 if counts.max() >= 10_000 else 0
    _write_counts(axes, counts, share, size)
    _name_classes(axes, [plain(name) for name in classes], support, tilted=longest * 0.085 > side / k)
    total, correct = counts.sum(), np.trace(counts)
    accuracy = f"Accuracy {correct / total:.1%} ({correct:g} of {total:g})" if total else "No labelled samples"
    add_title(figure, title or accuracy)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=22, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL, length=0)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.set_label("share of the true class", fontsize=SMALL)
    bar.outline.set_visible(False)
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, share: np.ndarray, size: float) -> None:
    """Write the counts (K, K) into a confusion matrix; rows without samples are hatched."""
    k = len(counts)
    for row in range(k):
        if not counts[row].any():
            axes.add_patch(Rectangle((-0.5, row - 0.5), k, 1, facecolor="white", edgecolor=GREY, hatch="///", lw=0))
            axes.text(
                (k - 1) / 2, row, "no samples", ha="center", va="center", fontsize=size, color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
            continue
        for column in range(k):
            shade = "white" if share[row, column] > 0.55 else (INK if counts[row, column] else GREY)
            weight = "bold" if row == column else "normal"
            text = f"{counts[row, column]:g}"
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=shade, fontweight=weight)


def _name_classes(axes: Axes, names: list[str], support: np.ndarray, tilted: bool) -> None:
    """Label the axes of a confusion matrix, and part its cells by white lines."""
    k = len(names)
    axes.set_xticks(range(k), names)
    axes.set_yticks(range(k), [f"{name} ({n:g})" for name, n in zip(names, support, strict=True)])
    axes.tick_params(labelsize=LABEL if k <= 10 else SMALL, length=0, colors=INK)
    if tilted:  # names wider than their column
        for tick in axes.get_xticklabels():
            tick.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("predicted", fontsize=LABEL)
    axes.set_ylabel("true (number of samples)", fontsize=LABEL)


def embedding_map(
    embeddings: Any, labels: Any, classes: Sequence[str], title: str | None = None, limit: int = 2000, seed: int = 0
) -> Figure:
    """Draw embeddings in a plane by t-SNE, or along their principal axes where there are too few (or all are equal).

    Args:
        embeddings: (N, D) encoder outputs; rows that are not finite are left out and counted in the title.
        labels: (N,) integer labels; -1 (unlabelled) is drawn in grey behind the others.
        classes: Class names.
        title: What the embeddings are ("pretrained encoder, test samples").
        limit: Most points drawn; a random part of more, and the title says so.
        seed: Seed of that choice and of t-SNE.

    Returns:
        The figure.

    Raises:
        UserError: No embedding is finite.
        ValueError: The shapes do not fit each other.
    """
    x, y = to_numpy(embeddings).astype(np.float32), to_numpy(labels).astype(np.int64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"embeddings {x.shape} and labels {y.shape} should be (N, D) and (N,)")
    finite = np.isfinite(x).all(axis=1)
    n, bad = int(finite.sum()), int((~finite).sum())
    if not n:
        raise UserError(f"none of {len(x)} embeddings is finite: the training diverged; lower exp_params.LR")
    keep = np.flatnonzero(finite)
    if n > limit:
        keep = np.sort(np.random.default_rng(seed).choice(keep, limit, replace=False))
    x, y = x[keep], y[keep]
    plane, method, axis_names = _plane(x, seed)

    figure = new_figure(7.2, 5.2)
    axes = figure.add_subplot()
    _scatter(axes, plane, y, classes)
    tidy(axes, grid=False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[:].set_color(PALE)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(axis_names[0], fontsize=SMALL)
    axes.set_ylabel(axis_names[1], fontsize=SMALL)
    axes.margins(0.04)
    notes = [f"{len(x)} of {n} embeddings, drawn at random" if n > limit else f"{n} embeddings"]
    notes += [f"{bad} left out (not finite)"] if bad else []
    add_title(figure, f"{title or 'Embeddings'}\n{method}, {', '.join(notes)}")
    legend = add_legend(axes, loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=1 if len(classes) <= 18 else 2)
    for handle in legend.legend_handles:
        handle.set(sizes=[42], alpha=1)
    return figure


def _scatter(axes: Axes, plane: np.ndarray, y: np.ndarray, classes: Sequence[str]) -> None:
    """Draw points (N, 2) by class, those without one in grey behind the others."""
    size = float(np.clip(9000 / len(y), 9, 42))
    unlabelled = (y < 0) | (y >= len(classes))
    if unlabelled.any():
        label = f"unlabelled ({unlabelled.sum()})"
        axes.scatter(*plane[unlabelled].T, s=size * 0.7, color=GREY, alpha=0.45, linewidth=0, label=label)
    for k, name in enumerate(classes):
        part = y == k
        if part.any():
            axes.scatter(
                *plane[part].T, s=size, color=color(k), marker=marker(k), alpha=0.8, edgecolor="white",
                linewidth=0.4, label=f"{plain(name)} ({part.sum()})",
            )  # fmt: skip


def _plane(x: np.ndarray, seed: int) -> tuple[np.ndarray, str, tuple[str, str]]:
    """Return points in the plane (N, 2), the method's name and the names of the axes."""
    from sklearn.manifold import TSNE

    centered = x - x.mean(axis=0)
    left, singular, _ = np.linalg.svd(centered, full_matrices=False)
    spread = float(singular[0]) > 1e-5 * max(float(np.abs(x).max()), 1e-30) * len(x) ** 0.5
    components = np.zeros((len(x), max(2, min(50, len(singular)))), np.float32)  # narrow data get columns of zeros
    used = min(components.shape[1], len(singular))
    components[:, :used] = left[:, :used] * singular[:used]
    if len(x) >= TSNE_FEWEST and spread:
        perplexity = min(30.0, (len(x) - 1) / 3)
        plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(components)
        return plane, f"t-SNE (perplexity {perplexity:.0f})", ("", "")
    share = np.zeros(max(2, len(singular)))
    share[: len(singular)] = singular**2 / max(float((singular**2).sum()), 1e-30)
    if not spread:  # what is left is rounding error: show the collapse as the point it is
        return np.zeros((len(x), 2), np.float32), "all equal (collapsed)", ("", "")
    names = tuple(f"principal axis {i + 1} ({share[i]:.0%} of the variance)" for i in range(2))
    return components[:, :2], "principal components", names
