"""A gallery of false predictions: waveform, spectrogram, and what the network thought of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.signal import spectrogram

from seisml.evaluation.figures.gallery import COLUMNS, draw_spectrogram, draw_waveform, time_axis
from seisml.evaluation.figures.style import (
    BLUE,
    DPI,
    GREY,
    INK,
    LABEL,
    SMALL,
    TITLE,
    VERMILION,
    plain,
    to_numpy,
)

BARS = 3  # classes whose probabilities are drawn
WIDTH, WAVE, PICTURE, BAR, GAP = 2.75, 0.65, 1.0, 0.17, 0.34  # inches
COLUMNS_OF_PICTURE = 128  # of a spectrogram that is drawn for people alone


def error_rows(true: Any, predicted: Any, sure: Any, limit: int = 12) -> np.ndarray:
    """Choose false predictions: of every true class in turn, the surest first.

    Args:
        true: (N,) class numbers, -1 where unlabelled.
        predicted: (N,) class numbers.
        sure: (N,) probability of the prediction.
        limit: Most rows chosen.

    Returns:
        (n,) row numbers, by true class.
    """
    true, predicted, sure = to_numpy(true), to_numpy(predicted), to_numpy(sure)
    wrong = np.flatnonzero((true != predicted) & (true >= 0))
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    turn = np.zeros(len(wrong), dtype=np.int64)
    for label in np.unique(true[wrong]):
        turn[true[wrong] == label] = np.arange((true[wrong] == label).sum())
    chosen = wrong[np.argsort(turn, kind="stable")[:limit]]
    return chosen[np.lexsort((-sure[chosen], true[chosen]))]


def false_predictions(
    waveform: Any,
    picture: Any,
    true: Any,
    probability: Any,
    classes: Sequence[str],
    sampling_rate: float,
    names: Sequence[str],
    band: tuple[float, float] | None,
    title: str,
) -> Figure:
    """Draw false predictions.

    Args:
        waveform: (N, T) one trace each.
        picture: (N, F, W) what the network saw, lowest frequency first; None for networks on waveforms, where a
            spectrogram is drawn that people read more easily.
        true: (N,) class numbers.
        probability: (N, K).
        classes: The K class names.
        sampling_rate: In Hz.
        names: What each is called.
        band: Frequencies of the picture's first and last row in Hz; None where there is none.
        title: Figure title.
    """
    wave, chance, true = to_numpy(waveform), to_numpy(probability), to_numpy(true)
    pictures = None if picture is None else to_numpy(picture)
    if pictures is None:
        pictures, band = np.stack([_spectrogram(row, sampling_rate) for row in wave]), (0.0, sampling_rate / 2)
    time, unit = time_axis(wave.shape[1], sampling_rate)
    bars = min(BARS, len(classes))
    figure, cells = _cells(len(wave), bars)
    for number, (upper, middle, lower) in enumerate(cells):
        draw_waveform(upper, wave[number], time)
        draw_spectrogram(middle, pictures[number], time[-1], band, first=number % COLUMNS == 0)
        upper.tick_params(labelbottom=False, bottom=False)
        middle.xaxis.set_major_locator(MaxNLocator(nbins=5))
        words = f"{plain(names[number], 26)}, true {plain(classes[true[number]], 15)}"
        size = min(LABEL - 0.5, WIDTH * 72 / (0.63 * len(words)))
        upper.set_title(words, fontsize=size, color=INK, loc="left", pad=3, fontweight="bold")
        _bars(lower, chance[number], int(true[number]), classes, bars)
    figure.suptitle(
        f"{title}\ntime in {unit}; bars: probabilities, blue the true class, vermilion the answer",
        fontsize=TITLE, x=0.012, ha="left", va="top", y=1 - 0.12 / figure.get_figheight(),
    )  # fmt: skip
    return figure


def _spectrogram(wave: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Log spectrogram (F, W) of a trace (T,), over six decades at most."""
    nperseg = min(len(wave), max(8, min(256, len(wave) * 2 // COLUMNS_OF_PICTURE)))
    _, _, power = spectrogram(wave, sampling_rate, nperseg=nperseg, noverlap=nperseg // 2)
    return np.log10(np.maximum(power, max(float(power.max()) * 1e-6, np.finfo(float).tiny)))


def _bars(axes: Axes, chance: np.ndarray, true: int, classes: Sequence[str], n: int) -> None:
    """Draw the largest probabilities, the true class's among them."""
    shown = np.argsort(-chance, kind="stable")[:n]
    if true not in shown:
        shown[-1] = true
    for place, k in enumerate(shown):
        shade = BLUE if k == true else (VERMILION if place == 0 else GREY)
        axes.barh(place, chance[k], height=0.8, color=shade)
        axes.text(max(0.0, chance[k]) + 0.02, place, f"{plain(classes[k], 15)} {chance[k]:.0%}", va="center",
                  fontsize=SMALL, color=INK)  # fmt: skip
    axes.set(xlim=(0, 1.6), ylim=(n - 0.5, -0.5))
    axes.set_axis_off()


def _cells(n: int, bars: int) -> tuple[Figure, list[tuple[Axes, Axes, Axes]]]:
    """Return a figure and the axes of each event: waveform, spectrogram, bars. Measures are inches."""
    columns = min(COLUMNS, n)
    rows = math.ceil(n / columns)
    low, between = bars * BAR, 0.22
    left, right, top, bottom = 0.72, 0.15, 0.82, 0.12
    cell = WAVE + PICTURE + between + low
    size = (
        max(left + columns * WIDTH + (columns - 1) * 0.16 + right, 6.2),
        top + rows * (cell + GAP) - GAP + bottom,
    )
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    cells = []
    for number in range(n):
        row, column = divmod(number, columns)
        x, y = left + column * (WIDTH + 0.16), bottom + (rows - 1 - row) * (cell + GAP)
        heights = ((y + low + between + PICTURE, WAVE), (y + low + between, PICTURE), (y, low))
        places = [(x / size[0], base / size[1], WIDTH / size[0], height / size[1]) for base, height in heights]
        cells.append(tuple(figure.add_axes(place) for place in places))
    return figure, cells
