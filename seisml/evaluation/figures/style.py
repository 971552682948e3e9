"""The common look of the figures: colours, sizes, units, saving."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from seisml.files import write_atomically

# Okabe and Ito (2008), told apart with any colour vision; yellow is left out (too pale on white), wine takes its place
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
BLUE, VERMILION, GREEN, ORANGE, GREY = COLORS[0], COLORS[1], COLORS[2], COLORS[4], "#9A9A9A"
PALE, INK = "#E4E4E4", "#222222"
DPI = 120
TITLE, LABEL, SMALL = 11.0, 10.0, 8.5  # font sizes in points


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that arranges itself without overlaps."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure


def add_title(figure: Figure, text: str) -> None:
    """Write the figure's title from its left edge, in as many lines as its width asks for."""
    room = int(figure.get_figwidth() * 72 / (0.56 * TITLE))  # characters of a mean width of 0.56 em
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, room)]
    figure.suptitle("\n".join(lines), fontsize=TITLE, x=0.012, ha="left", color=INK)


def tidy(axes: Axes, grid: bool = True) -> None:
    """Give axes readable ticks, a pale grid behind the data and no box."""
    axes.tick_params(labelsize=SMALL, colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)


def add_legend(axes: Axes, **kwargs: Any) -> Legend:
    """Draw a legend without a frame line that leaves the data visible behind it."""
    options = {"fontsize": SMALL, "framealpha": 0.8, "edgecolor": "none", "handlelength": 1.6, "labelspacing": 0.35}
    return axes.legend(**{**options, **kwargs})


def color(index: int) -> str:
    """Return the colour of class or line number ``index``; colours repeat after the eighth."""
    return COLORS[index % len(COLORS)]


def marker(index: int) -> str:
    """Return the marker of class ``index``: another one for each round of colours."""
    return MARKERS[index // len(COLORS) % len(MARKERS)]


def plain(name: object, longest: int = 24) -> str:
    """Return a name as matplotlib text: cut if long, a dollar begins no formula, a leading underscore hides nothing."""
    text = str(name)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    text = text.replace("$", r"\$")
    return " " + text if text.startswith("_") else text


def to_numpy(values: Any) -> np.ndarray:
    """Return an array from a tensor on any device, an array or a list."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # NumPy has no bfloat16
    return np.asarray(values)


def time_unit(duration: float) -> tuple[float, str]:
    """Return (factor, unit) that brings a duration in seconds to numbers that are easy to read."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (600.0, 1.0, "s"), (4 * 3600.0, 1 / 60, "min")):
        if duration < limit:
            return factor, unit
    return 1 / 3600, "h"


def frequency_unit(highest: float) -> tuple[float, str]:
    """Return (factor, unit) that brings frequencies up to ``highest`` Hz to numbers that are easy to read."""
    if highest >= 1e6:
        return 1e-6, "MHz"
    return (1e-3, "kHz") if highest >= 1e4 else (1.0, "Hz")


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure atomically: the file is whole or not there. Missing folders are made.

    Args:
        figure: What to write.
        path: Target; its suffix chooses the format (PNG where it has none).

    Returns:
        The path written.
    """
    path = Path(path)
    path = path if path.suffix else path.with_suffix(".png")
    return write_atomically(path, lambda part: figure.savefig(part, format=path.suffix[1:], dpi=DPI))
