"""The picture of a detection: waveform, spectrogram, and what the network says of each window."""

from __future__ import annotations

import io
import warnings

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageColor
from scipy import signal

from seisml.report.continuous.records import About, Found
from seisml.report.continuous.samples import Excerpt
from seisml.report.parts import number_text
from seisml.report.reading import Picture, to_picture

WIDTH, HEIGHT, DPI = 4.4, 3.9, 112  # inches; the page shows them at about 400 pixels
LEFT, RIGHT = 0.115, 0.985
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")  # as in figures
INK, GREY, MARK = "#1d2126", "#8a8f96", "#D55E00"
MOST_COMPONENTS, MOST_CLASSES = 3, 6
COLUMNS, ROWS = 170, 64  # of a spectrogram, at most


def _palette() -> Image.Image:
    """The colours that the picture is made of, with tints of each for soft edges: a page of many must stay small."""
    magma = [tuple(round(255 * part) for part in colormaps["magma"](place)[:3]) for place in np.linspace(0, 1, 28)]
    greys = [(level,) * 3 for level in range(0, 256, 15)]
    tints = [
        tuple(round(part + (255 - part) * share) for part in ImageColor.getrgb(shade))
        for shade in (*SERIES, INK, MARK)
        for share in (0, 0.35, 0.65, 0.9)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette([part for shade in (*magma, *greys, *tints) for part in shade])
    return image


PALETTE = _palette()


def detection_picture(found: Found, excerpt: Excerpt, about: About) -> Picture:
    """Draw a detection.

    Args:
        found: The detection.
        excerpt: The record around it.
        about: Classes and threshold.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
    boxes = ((0.67, 0.32), (0.375, 0.275), (0.105, 0.2))  # bottom and height
    waveform, spectrogram, probability = (
        figure.add_axes([LEFT, bottom, RIGHT - LEFT, height]) for bottom, height in boxes
    )
    seconds = (excerpt.start - found.onset) * 1e-9 + np.arange(excerpt.waveform.shape[1]) / excerpt.sampling_rate
    _waveform(waveform, seconds, excerpt)
    _spectrogram(spectrogram, seconds, excerpt)
    _probability(probability, (excerpt.times - found.onset) * 1e-9, excerpt, about)
    span = [(time - found.onset) * 1e-9 for time in (found.start, found.end)]
    for axes in (waveform, spectrogram, probability):
        axes.set_xlim(seconds[0], seconds[-1])
        axes.axvline(0.0, color=MARK, linewidth=1.1)
        axes.tick_params(labelsize=7.5, length=2.5, colors=INK, labelbottom=axes is probability)
        axes.spines[["top", "right"]].set_visible(False)
        if axes is not spectrogram:
            axes.axvspan(*span, color=SERIES[0], alpha=0.1, linewidth=0)
    probability.set_xlabel("seconds from the onset", fontsize=8, color=INK, labelpad=2)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI)
    with Image.open(data, formats=["PNG"]) as image:
        return to_picture(image, _words(found, excerpt, about), palette=PALETTE)


def _waveform(axes: Axes, seconds: np.ndarray, excerpt: Excerpt) -> None:
    traces = excerpt.waveform[:MOST_COMPONENTS]
    for number, trace in enumerate(traces):
        known = trace[np.isfinite(trace)]
        peak = float(np.abs(known - known.mean()).max()) if len(known) else 0.0
        scaled = (trace - known.mean()) / peak * 0.46 if peak > 0 else trace * 0
        axes.plot(seconds, scaled - number, color=INK, linewidth=0.55)
    axes.set_yticks([-number for number in range(len(traces))], excerpt.components[:MOST_COMPONENTS])
    axes.set_ylim(-len(traces) + 0.45, 0.55)
    axes.tick_params(axis="y", length=0)


def _spectrogram(axes: Axes, seconds: np.ndarray, excerpt: Excerpt) -> None:
    trace = np.nan_to_num(excerpt.waveform[0])
    length = int(np.clip(len(trace) // 24, 8, 512))
    overlap = min(length - 1, max(0, length - max(1, len(trace) // COLUMNS)))
    frequency, times, power = signal.spectrogram(trace, excerpt.sampling_rate, nperseg=length, noverlap=overlap)
    level = 10 * np.log10(power + np.finfo(float).tiny)
    low, high = np.percentile(level[np.isfinite(level)], (25, 99.7))
    image = (seconds[0] + times[0], seconds[0] + times[-1], frequency[0], frequency[-1])
    axes.imshow(
        level[:: max(1, len(frequency) // ROWS)], origin="lower", aspect="auto", extent=image, cmap="magma", vmin=low,
        vmax=max(high, low + 1), interpolation="nearest",
    )  # fmt: skip
    axes.set_facecolor("black")
    axes.set_ylabel("Hz", fontsize=8, color=INK, labelpad=1)
    axes.locator_params(axis="y", nbins=4)


def _probability(axes: Axes, seconds: np.ndarray, excerpt: Excerpt, about: About) -> None:
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_ylabel("probability", fontsize=7.5, color=INK, labelpad=1)
    axes.axhline(about.threshold, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    for number, name in _drawn(excerpt, about):
        shade = SERIES[about.classes.index(name) % len(SERIES)]
        label = name if len(name) <= 18 else f"{name[:17]}…"
        label = label.replace("$", r"\$")
        axes.plot(seconds, excerpt.probability[:, number], color=shade, linewidth=1.4, marker="o", markersize=2.0,
                  label=f" {label}" if label.startswith("_") else label)  # fmt: skip
    if len(axes.lines) > 1:
        axes.legend(fontsize=6.5, frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 0.97), ncols=3,
                    handlelength=1.2, borderpad=0.1, columnspacing=0.8)  # fmt: skip
    else:
        axes.text(0.5, 0.4, "no probabilities were kept", transform=axes.transAxes, ha="center", fontsize=7.5)


def _drawn(excerpt: Excerpt, about: About) -> list[tuple[int, str]]:
    """Event classes that reach a tenth somewhere, the largest first."""
    if not len(excerpt.probability):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without any value
        most = np.nan_to_num(np.nanmax(excerpt.probability, axis=0))
    chosen = [number for number in np.argsort(-most, kind="stable") if about.classes[number] in about.events]
    return [(int(number), about.classes[number]) for number in chosen[:MOST_CLASSES] if most[number] > 0.1]


def _words(found: Found, excerpt: Excerpt, about: About) -> str:
    """What there is to see, for those who do not see it."""
    components = ", ".join(excerpt.components[:MOST_COMPONENTS])
    drawn = ", ".join(name for _, name in _drawn(excerpt, about)) or "no class"
    length = number_text(excerpt.waveform.shape[1] / excerpt.sampling_rate)
    highest = f"{excerpt.sampling_rate / 2:g} Hz"
    return (
        f"{length} s of record at {found.station}: waveform of {components}; spectrogram of {excerpt.components[0]} "
        f"up to {highest}; probability of {drawn} over the windows; the onset is marked."
    )
