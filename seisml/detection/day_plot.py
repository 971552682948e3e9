"""A day of one instrument to look at: waveform in lines of an hour, probability beneath, detections in colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from seisml.detection.detections import Detection, DetectionRule
from seisml.evaluation.figures.style import (
    GREY,
    INK,
    PALE,
    SMALL,
    add_legend,
    add_title,
    color,
    new_figure,
    plain,
    tidy,
)

LINES = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)  # lengths that a line may have, in s
MOST_LINES = 24
LINE_HEIGHT = 0.44  # inches
PIXELS = 1500  # across a line


def day_plot(
    title: str,
    day: int,
    envelope: dict[str, np.ndarray],
    times: np.ndarray,
    probability: np.ndarray,
    detections: Sequence[Detection],
    rule: DetectionRule,
    length: float,
) -> Figure:
    """Draw a day in the manner of a helicorder.

    Each line is an hour, less for shorter records; amplitudes share one scale. Under the waveform stands the event
    probability of each window (at the window's centre, the threshold dashed); detections are coloured by class, with a
    mark at the onset of each.

    Args:
        title: What the record is.
        day: Midnight in ns.
        envelope: What :meth:`seisml.inference.station_day.Envelope.arrays` gave.
        times: (N,) start in ns of the predicted windows.
        probability: (N, K).
        detections: Those of this instrument that touch the day.
        rule: Its classes and threshold.
        length: Of a window, in s.

    Returns:
        The figure.
    """
    start, width = float(envelope["start"]), float(envelope["bin"])
    low, high = envelope["low"].astype(float), envelope["high"].astype(float)
    end = start + width * len(low)
    line = next((seconds for seconds in LINES if (end - start) / seconds <= MOST_LINES), LINES[-1])
    first, last = int(start // line), int(np.ceil((end - width - 0.01 * line) / line))
    n_lines = max(1, last - first)
    figure = new_figure(12.0, 1.15 + LINE_HEIGHT * max(n_lines, 3))
    axes = figure.subplots()
    scale = _scale(low, high)
    unit, factor = ("minutes", 60.0) if line > 120 else ("seconds", 1.0)
    event = rule.event_probability(probability) if len(times) else np.zeros(0)
    centres = (times - day) * 1e-9 + length / 2
    step = float(np.diff(centres).min()) if len(centres) > 1 else line
    colors = {number: color(place) for place, number in enumerate(rule.events)}
    for row in range(n_lines):
        begin = (first + row) * line
        base = -row
        _waveform(axes, low, high, start, width, begin, line, base, scale, factor)
        near = (centres > begin - length) & (centres < begin + line + length)  # on to the line's ends, which clip
        floor = base - 0.48
        x, height = _with_breaks((centres[near] - begin) / factor, event[near], 1.5 * step / factor)
        axes.fill_between(x, floor, floor + 0.3 * height, color=GREY, alpha=0.55, linewidth=0, zorder=3)
        axes.axhline(floor + 0.3 * rule.threshold, color=PALE, linewidth=0.6, linestyle=(0, (4, 4)), zorder=1)
    for number, shade in colors.items():
        of_class = [detection for detection in detections if detection.label == rule.classes[number]]
        _detections(axes, of_class, shade, day, first * line, line, n_lines, factor)
    _clock_axes(axes, [(first + row) * line for row in range(n_lines)], line / factor, unit)
    _legend(axes, detections, rule, colors)
    add_title(figure, f"{plain(title, 60)}: {len(detections)} detection{'s' * (len(detections) != 1)}")
    return figure


def _scale(low: np.ndarray, high: np.ndarray) -> float:
    """The amplitude that a line's height stands for: all but the largest half per cent stay within."""
    known = np.concatenate([-low, high])
    known = known[np.isfinite(known)]
    scale = float(np.percentile(known, 99.5)) if known.size else 1.0
    return scale if scale > 0 else 1.0


def _clock_axes(axes: Axes, begins: list[float], width: float, unit: str) -> None:
    """Name each line by the time of day (s) at which it begins."""
    axes.set_xlim(0, width)
    axes.set_ylim(-len(begins) + 0.45, 0.55)
    axes.set_yticks([-row for row in range(len(begins))], [_clock(begin) for begin in begins])
    axes.set_xlabel(f"{unit} from the time at the left (UTC)", fontsize=SMALL)
    tidy(axes, grid=False)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _with_breaks(x: np.ndarray, y: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    """Put NaN between points that are further apart than ``longest``, so that nothing is drawn there."""
    gaps = np.flatnonzero(np.diff(x) > longest) + 1
    return np.insert(x, gaps, np.nan), np.insert(y, gaps, np.nan)


def _detections(
    axes: Axes,
    detections: Sequence[Detection],
    shade: str,
    day: int,
    start: float,
    line: float,
    n_lines: int,
    factor: float,
) -> None:
    """Shade detections of one class, all lines at once: thousands of patches would take minutes."""
    bars, onsets = [], []
    for detection in detections:
        left, right, onset = ((t - day) * 1e-9 - start for t in (detection.start, detection.end, detection.onset))
        for row in range(max(0, int(left // line)), min(n_lines, int(right // line) + 1)):
            x = np.clip([left - row * line, right - row * line], 0, line) / factor
            bars.append([(x[0], -row - 0.48), (x[1], -row - 0.48), (x[1], -row + 0.48), (x[0], -row + 0.48)])
        if 0 <= onset < n_lines * line:
            onsets.append((onset % line / factor, -(onset // line) + 0.44))
    axes.add_collection(PolyCollection(bars, facecolor=shade, alpha=0.28, linewidth=0, zorder=2), autolim=False)
    if onsets:
        axes.plot(*np.transpose(onsets), "v", color=shade, markersize=4.5, zorder=5)


def _waveform(
    axes: Axes,
    low,
    high,
    start: float,
    width: float,
    begin: float,
    line: float,
    base: float,
    scale: float,
    factor: float,
) -> None:
    """Draw one line's extremes, at most one pair for each pixel; pale where nothing was recorded."""
    a = max(0, int(np.floor((begin - start) / width + 1e-6)))
    b = min(len(low), int(np.ceil((begin + line - start) / width - 1e-6)))
    if a >= b:
        return
    size = max(1, int(np.ceil((b - a) * (1.0 / PIXELS) * min(1.0, line / ((b - a) * width)))))
    edges = np.arange(a, b, size)
    lower, upper = np.fmin.reduceat(low[:b], edges), np.fmax.reduceat(high[:b], edges)
    x = (start + edges * width - begin) / factor
    both = np.stack([np.clip(lower / scale, -1, 1), np.clip(upper / scale, -1, 1)], axis=1)
    axes.plot(np.repeat(x, 2), base + 0.44 * both.ravel(), color=INK, linewidth=0.5, zorder=4, solid_joinstyle="bevel")
    bad = ~np.isfinite(lower)
    if bad.any():
        axes.fill_between(x, base - 0.48, base + 0.48, where=bad, step="post", color=PALE, linewidth=0, zorder=0)


def _legend(axes: Axes, detections: Sequence[Detection], rule: DetectionRule, colors: dict[int, str]) -> None:
    counts = {number: sum(d.label == rule.classes[number] for d in detections) for number in rule.events}
    shown = [number for number in rule.events if counts[number]][:8]
    handles = [
        Patch(color=colors[n], alpha=0.4, linewidth=0, label=f"{plain(rule.classes[n])} ({counts[n]})") for n in shown
    ]
    handles.append(Patch(color=GREY, alpha=0.55, linewidth=0, label="event probability"))
    threshold = f"threshold {rule.threshold:g}"
    handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (4, 4)), label=threshold))
    add_legend(axes, handles=handles, ncols=len(handles), loc="lower right", bbox_to_anchor=(1.0, 1.0))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return text if not rest else f"{text}:{rest:02d}"
