"""Charts of continuous records: detections over time, false alarms over the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisml.evaluation.alarms import AlarmCurve
from seisml.report.continuous.records import Found
from seisml.report.parts import Chart, Table, number_cell, number_text, text_cell
from seisml.report.vega import COLORS, N_COLORS, PERCENT, axis, chart, lines
from seisml.waveforms.times import format_time

BINS = (60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)  # seconds
MOST_BINS = 90
OTHERS = "others"


def time_chart(found: Sequence[Found]) -> Chart:
    """How many detections there are over time, by class."""
    onset = np.array([it.onset for it in found]) / 1e9
    bin_s = next((size for size in BINS if np.ptp(onset) / size <= MOST_BINS), np.ptp(onset) / MOST_BINS)
    names, counts = np.unique([it.label for it in found], return_counts=True)
    common = [str(names[i]) for i in np.argsort(-counts, kind="stable")[: N_COLORS - 1]]
    place = np.floor(onset / bin_s).astype(np.int64)
    tally: dict[tuple[int, str], int] = {}
    for number, it in zip(place.tolist(), found, strict=True):
        key = (number, it.label if it.label in common else OTHERS)
        tally[key] = tally.get(key, 0) + 1
    domain = common + ([OTHERS] if any(name == OTHERS for _, name in tally) and OTHERS not in common else [])
    values, height = [], dict.fromkeys((number for number, _ in tally), 0)
    for number, name in sorted(tally, key=lambda key: (key[0], domain.index(key[1]))):
        n, below = tally[number, name], height[number]
        height[number] += n
        ends = {"x": number * bin_s * 1000, "end": (number + 1) * bin_s * 1000}
        values.append({**ends, "low": below, "high": below + n, "n": n, "name": name})
    time = {"type": "temporal", "scale": {"type": "utc"}}
    color = {"field": "name", "type": "nominal", "scale": {"domain": domain, "range": COLORS[: len(domain)]},
             "legend": {"symbolType": "square"}}  # fmt: skip
    clock = "%H:%M" if np.ptp(onset) < 86_400 else "%d %b %H:%M" if np.ptp(onset) < 4 * 86_400 else "%d %b %Y"
    encoding = {
        "x": {**time, "field": "x", "title": "time (UTC)", "axis": {"grid": False, "format": clock}},
        "x2": {"field": "end"},
        "y": axis("low", f"detections in {_span(bin_s)}"),
        "y2": {"field": "high"},
        "color": color,
        "tooltip": [{**time, "field": "x", "title": "from", "format": "%Y-%m-%d %H:%M"},
                    {"field": "name", "type": "nominal", "title": "class"}, axis("n", "detections")],
    }  # fmt: skip
    encoding["tooltip"][0].pop("scale")
    title = "Detections over time"
    rows = [
        [text_cell(format_time(round(number * bin_s * 1e9))), text_cell(name), number_cell(float(count))]
        for (number, name), count in sorted(tally.items())
    ]
    table = Table(title, ["from (UTC)", "class", "detections"], rows) if len(rows) <= 400 else None
    first, last = (format_time(round(end * 1e9))[:16].replace("T", " ") for end in (onset.min(), onset.max()))
    alt = f"{len(found)} detections from {first} to {last}, counted in {_span(bin_s)} each, by class."
    mark = {"type": "rect", "stroke": "var(--paper)", "strokeWidth": 0.6}
    return Chart(title, chart([{"mark": mark, "encoding": encoding}], values, 220), alt, table, wide=True)


def _span(seconds: float) -> str:
    for size, word in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {word}" if count > 1 else f"1 {word[:-1]}"
    return f"{seconds:.0f} seconds"


def alarm_charts(alarms: AlarmCurve) -> list[Chart]:
    """False alarms per station-day over the threshold, and against the share of known events that are found."""
    false, found = alarms.false_per_day, alarms.found
    if not len(alarms.threshold) or not np.isfinite(false).all():
        return []
    name = "detections"
    values = [
        {"x": round(float(x), 5), "y": round(float(y), 4), "name": name}
        for x, y in zip(alarms.threshold, false, strict=True)
    ]
    x = axis("x", "threshold: least probability", scale={"zero": False, "nice": False})
    y = axis("y", "false alarms per station-day")
    alt = (
        f"False alarms per station-day fall from {number_text(float(false[0]), 1)} at a threshold of "
        f"{number_text(float(alarms.threshold[0]))} to {number_text(float(false[-1]), 1)} at "
        f"{number_text(float(alarms.threshold[-1]), 4)}."
    )
    places = np.unique(np.linspace(0, len(false) - 1, 12).round().astype(int))
    rows = [
        [number_cell(float(alarms.threshold[i]), digits=4), number_cell(float(false[i])), number_cell(float(found[i]))]
        for i in places
    ]
    head = ["threshold", "false alarms per station-day", "share of known events found"]
    title = "False alarms over the threshold"
    made = [Chart(title, _unnamed(lines(values, x, y, [name])), alt, Table(title, head, rows))]
    if np.isfinite(found).all():
        values = [
            {"x": round(float(x), 4), "y": round(float(y), 4), "name": name, "order": i}
            for i, (x, y) in enumerate(zip(false, found, strict=True))
        ]
        x = axis("x", "false alarms per station-day", scale={"nice": True})
        y = axis("y", "share of known events found", scale={"domain": [0, 1]}, axis={"format": PERCENT})
        spec = _unnamed(lines(values, x, y, [name]))
        spec["layer"][0]["encoding"]["order"] = {"field": "order", "type": "quantitative"}
        alt = f"With all detections {found[0]:.0%} of the known events are found; fewer false alarms cost some of them."
        made.append(Chart("Known events against false alarms", spec, alt))
    return made


def _unnamed(spec: dict) -> dict:
    """A chart of one curve, which needs no legend."""
    for layer in spec["layer"]:
        for channel in ("color", "strokeDash"):
            if channel in layer["encoding"]:
                layer["encoding"][channel] = {**layer["encoding"][channel], "legend": None}
    spec["layer"][0]["params"] = []
    spec["layer"][0]["encoding"].pop("opacity")
    return spec
