"""A gallery of events: waveform above spectrogram, with true and predicted labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seisml.evaluation.figures.style import (
    BLUE,
    DPI,
    GREY,
    INK,
    LABEL,
    SMALL,
    TITLE,
    VERMILION,
    frequency_unit,
    plain,
    time_unit,
    to_numpy,
)

COLUMNS = 4
CELL_WIDTH = 2.75  # inches


def gallery_rows(true: Any, predicted: Any, limit: int = 12) -> np.ndarray:
    """Choose events worth looking at: errors first (up to half of them), and every class in turn.

    Args:
        true: (N,) integer labels, -1 where unlabelled.
        predicted: (N,) predicted labels.
        limit: Most events chosen.

    Returns:
        (n,) row numbers, correct ones first and by class; all rows where there are few enough.
    """
    true, predicted = to_numpy(true), to_numpy(predicted)
    wrong = np.flatnonzero((true != predicted) & (true >= 0))
    right = np.setdiff1d(np.arange(len(true)), wrong)
    n_wrong = min(len(wrong), max(limit // 2, limit - len(right)))
    chosen = [_in_turn(right, true, limit - n_wrong), _in_turn(wrong, true, n_wrong)]
    return np.concatenate([rows[np.lexsort((rows, true[rows]))] for rows in chosen])


def _in_turn(rows: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    """Take n rows, one of each class in turn."""
    turn = np.zeros(len(rows), dtype=np.int64)
    for label in np.unique(true[rows]):
        part = true[rows] == label
        turn[part] = np.arange(part.sum())
    return rows[np.argsort(turn, kind="stable")[:n]]


def gallery(
    waveform: Any,
    picture: Any,
    true: Any,
    predicted: Any,
    classes: Sequence[str],
    sampling_rate: float,
    probability: Any = None,
    frequency_range: tuple[float, float] | Literal["full"] | None = "full",
    title: str | None = None,
    limit: int = 12,
) -> Figure:
    """Draw events, each as its waveform above what the network saw of it.

    Correct ones carry a blue title with a tick, wrong ones a vermilion title with a cross, unlabelled ones a grey one.

    Args:
        waveform: (N, T) one trace per event; drawn without its mean and scaled to its peak.
        picture: (N, F, W) normalised spectrograms, lowest frequency first, or None for networks on waveforms.
        true: (N,) integer labels, -1 where unlabelled.
        predicted: (N,) predicted labels.
        classes: Class names.
        sampling_rate: In Hz; the time axis takes a unit that suits the duration.
        probability: (N,) probability of the predicted label, written beside it.
        frequency_range: Frequencies of the picture's first and last row in Hz, "full" for 0 to the Nyquist frequency,
            None where unknown (no axis).
        title: Figure title; by default how many are shown and how many of them are correct.
        limit: Most events drawn, chosen by :func:`gallery_rows`.

    Returns:
        The figure.

    Raises:
        ValueError: The arrays do not belong together, or are empty.
    """
    wave, true, predicted = to_numpy(waveform), to_numpy(true).astype(int), to_numpy(predicted).astype(int)
    pictures = None if picture is None else to_numpy(picture)
    chance = None if probability is None else to_numpy(probability)
    _check(wave, pictures, true, predicted, chance)
    shown = gallery_rows(true, predicted, limit) if len(wave) > limit else np.arange(len(wave))

    band = (0.0, sampling_rate / 2) if frequency_range == "full" else frequency_range
    time, unit = time_axis(wave.shape[1], sampling_rate)
    figure, cells = _cells(len(shown), pictures is not None)
    for number, (event, (upper, lower)) in enumerate(zip(shown, cells, strict=True)):
        draw_waveform(upper, wave[event], time)
        words, shade = _verdict(true[event], predicted[event], classes, None if chance is None else chance[event])
        if lower is not upper:
            draw_spectrogram(lower, pictures[event], time[-1], band, first=number % COLUMNS == 0)
        _frame(upper, lower, words, shade, f"time ({unit})" if number + COLUMNS >= len(shown) else None)
    figure.suptitle(
        title or _summary(true, predicted, shown),
        fontsize=TITLE,
        x=0.012,
        ha="left",
        va="top",
        y=1 - 0.12 / figure.get_figheight(),
    )
    return figure


def _cells(n: int, spectrograms: bool) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return a figure and (upper, lower) axes per event, all of one size, which a layout engine would not keep.

    Without spectrograms both are the same axes. Measures are inches.
    """
    columns = min(COLUMNS, n)
    rows = math.ceil(n / columns)
    width, upper, lower, gap_x, gap_y = CELL_WIDTH, 0.8, 1.2 if spectrograms else 0.0, 0.16, 0.34
    left, right, top, bottom = 0.72 if spectrograms else 0.2, 0.15, 0.62, 0.5
    # the last row of a short gallery stands above an empty place: its time axis needs room there
    total = (
        left + columns * width + (columns - 1) * gap_x + right,
        top + rows * (upper + lower + gap_y) - gap_y + bottom,
    )
    figure = Figure(figsize=(max(total[0], 4.6), total[1]), dpi=DPI, facecolor="white")
    cells = []
    for number in range(n):
        row, column = divmod(number, columns)
        x = left + column * (width + gap_x)
        y = bottom + (rows - 1 - row) * (upper + lower + gap_y)
        size = figure.get_size_inches()
        place = [x / size[0], (y + lower) / size[1], width / size[0], upper / size[1]]
        first = figure.add_axes(place)
        second = first
        if spectrograms:
            second = figure.add_axes([place[0], y / size[1], place[2], lower / size[1]])
        cells.append((first, second))
    return figure, cells


def _check(
    wave: np.ndarray, pictures: np.ndarray | None, true: np.ndarray, predicted: np.ndarray, chance: np.ndarray | None
) -> None:
    """Refuse arrays that do not belong together, or are empty."""
    lengths = {len(wave), len(true), len(predicted), *(len(x) for x in (pictures, chance) if x is not None)}
    if wave.ndim != 2 or len(lengths) != 1 or not len(wave) or (pictures is not None and pictures.ndim != 3):
        shape = None if pictures is None else pictures.shape
        raise ValueError(
            f"gallery: waveform {wave.shape} (N, T), picture {shape} (N, F, W), {sorted(lengths)} events each"
        )


def time_axis(n_samples: int, sampling_rate: float) -> tuple[np.ndarray, str]:
    """Return the time of each sample and the unit."""
    factor, unit = time_unit(n_samples / sampling_rate)
    return np.arange(n_samples) / sampling_rate * factor, unit


def _frame(upper: Axes, lower: Axes, words: str, shade: str, time_label: str | None) -> None:
    """Write what became of an event above its panels, in its colour, and the time below the last row."""
    size = min(LABEL - 0.5, CELL_WIDTH * 72 / (0.63 * len(words)))  # bold letters are 0.63 em wide on average
    upper.set_title(words, fontsize=size, color=shade, loc="left", pad=3, fontweight="bold")
    if lower is not upper:
        upper.tick_params(labelbottom=False, bottom=False)
    for axes in (upper, lower):
        axes.spines[:].set_color(shade)
    lower.xaxis.set_major_locator(MaxNLocator(nbins=5))
    if time_label:
        lower.set_xlabel(time_label, fontsize=SMALL, labelpad=2)
    else:
        lower.tick_params(labelbottom=False)


def _verdict(true: int, predicted: int, classes: Sequence[str], probability: float | None) -> tuple[str, str]:
    """Return the title of an event and its colour."""
    name = plain(classes[predicted], 15)
    sure = "" if probability is None or not np.isfinite(probability) else f" {probability:.0%}"
    if true < 0:
        return f"{name}{sure} (unlabelled)", "#666666"
    if true == predicted:
        return f"✓ {name}{sure}", BLUE
    return f"✗ {name}{sure}, true {plain(classes[true], 15)}", VERMILION


def draw_waveform(axes: Axes, wave: np.ndarray, time: np.ndarray) -> None:
    """Draw a trace (T,) without its mean and scaled to its peak; time (T,) is in the axis's unit."""
    wave = wave - np.nanmean(wave) if np.isfinite(wave).any() else np.zeros_like(wave)
    peak = float(np.nanmax(np.abs(wave)))
    axes.plot(time, wave / peak if peak > 0 else wave, color=INK, linewidth=0.5)
    axes.set_xlim(time[0], time[-1])
    axes.set_ylim(-1.08, 1.08)
    axes.set_yticks([])
    axes.tick_params(labelsize=SMALL, length=2, colors=INK)
    if not peak > 0:
        axes.text(0.5, 0.62, "no signal", transform=axes.transAxes, ha="center", fontsize=SMALL, color=GREY)


def draw_spectrogram(
    axes: Axes, picture: np.ndarray, end: float, band: tuple[float, float] | None, first: bool
) -> None:
    """Draw a picture (F, W) that lasts until ``end``; frequencies of ``band`` in Hz are written where it is first."""
    factor, unit = frequency_unit(band[1]) if band else (1.0, "")
    low, top = (band[0] * factor, band[1] * factor) if band else (0.0, 1.0)
    axes.imshow(
        picture, origin="lower", aspect="auto", cmap="magma", extent=(0, end, low, top), interpolation="nearest"
    )
    axes.tick_params(labelsize=SMALL, length=2, colors=INK, labelleft=first and band is not None)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], prune="upper"))
    if band is None:
        axes.set_yticks([])
    if first:
        axes.set_ylabel(f"frequency ({unit})" if band else "frequency", fontsize=SMALL)


def _summary(true: np.ndarray, predicted: np.ndarray, shown: np.ndarray) -> str:
    """Say what is shown, so that nobody takes the share of errors in the gallery for the error rate."""
    known = true >= 0
    errors, drawn = int((known & (true != predicted)).sum()), int((true[shown] != predicted[shown])[known[shown]].sum())
    events = (
        f"{len(shown)} of {len(true)} events"
        if len(shown) < len(true)
        else f"{len(true)} event{'s' * (len(true) != 1)}"
    )
    if len(shown) == len(true):
        return f"{events}, {errors} wrong"
    return f"{events}: {drawn} of the {errors} wrong ones, {len(shown) - drawn} others"
