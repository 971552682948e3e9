"""Charts of runs: training curves, metrics with intervals, precision and recall, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from seisml.evaluation.calibration import BINS, in_bins, mean_distance
from seisml.evaluation.precision_recall import precision_recall
from seisml.evaluation.training_log import TrainingCurves, split_metric
from seisml.report.parts import Chart, Table, number_cell, number_text, text_cell
from seisml.report.results import CHARTED, NAMES, Score
from seisml.report.runs import Predictions, Run
from seisml.report.vega import COLORS, INK, N_COLORS, PERCENT, axis, chart, lines, plain

MOST_POINTS = 240  # of a curve
MOST_CURVES = 16
MOST_NUMBERS = 400  # rows of a chart's table


def training_charts(runs: Mapping[str, TrainingCurves]) -> list[Chart]:
    """A chart for each panel of what was logged; of several runs, one for each loss and accuracy.

    Args:
        runs: Curves by the run's name.
    """
    several = len(runs) > 1
    wanted: dict[tuple[str, str], dict[str, tuple[str, pd.Series]]] = {}
    for run, curves in list(runs.items())[:MOST_CURVES]:
        for panel, columns in curves.panels.items():
            for column, curve in columns.items():
                split, metric = split_metric(column)
                metric = metric.removesuffix("_epoch").replace("_", " ")
                if split == "test" or (several and panel not in ("loss", "accuracy")):
                    continue
                title = f"{split} {metric}".strip()
                key = (panel, title) if several else (panel, panel)
                wanted.setdefault(key, {})[run if several else title] = (curves.x_name, curve)
    made = []
    for (panel, title), named in wanted.items():
        if len(made) < 8 and any(len(curve) > 1 for _, curve in named.values()):
            made.append(_training_chart(panel, title, named))
    return made


def _training_chart(panel: str, title: str, named: dict[str, tuple[str, pd.Series]]) -> Chart:
    named = dict(list(named.items())[:MOST_CURVES])
    values = [
        {"x": float(x), "y": float(y), "name": name}
        for name, (_, curve) in named.items()
        for x, y in thin(curve).items()
    ]
    x_name = next(iter(named.values()))[0]
    y = np.array([value["y"] for value in values])
    scale: dict[str, Any] = {"zero": False, "nice": True}
    if panel == "accuracy":
        scale = {"domain": [min(0.0, float(y.min())), max(1.0, float(y.max()))]}
    elif (y > 0).all() and y.max() > 20 * y.min():
        scale = {"type": "log"}
    x_axis = axis("x", x_name, scale={"zero": False, "nice": False}, axis={"tickMinStep": 1})
    y_axis = axis("y", title, scale=scale)
    ends = "; ".join(f"{name} ends at {number_text(float(curve.iloc[-1]))}" for name, (_, curve) in named.items())
    heading = f"{title[:1].upper()}{title[1:]}"
    table = None
    if len(values) <= MOST_NUMBERS:
        table = Table(heading, ["curve", x_name, title], [
            [text_cell(value["name"]), number_cell(value["x"]), number_cell(value["y"], digits=4)] for value in values
        ])  # fmt: skip
    return Chart(heading, lines(values, x_axis, y_axis, list(named)), f"{heading} over {x_name}s: {ends}.", table)


def thin(curve: pd.Series) -> pd.Series:
    """A curve with few enough points for a page, its ends among them."""
    if len(curve) <= MOST_POINTS:
        return curve
    return curve.iloc[np.linspace(0, len(curve) - 1, MOST_POINTS).round().astype(int)]


def metric_chart(runs: Sequence[Run]) -> Chart | None:
    """Metrics of runs as points with intervals; None for fewer than two runs with a metric to show."""
    name = next((name for name in CHARTED if sum(run.number(name) is not None for run in runs) > 1), None)
    if name is None:
        return None
    values, rows = [], []
    for run in runs[:100]:
        score = Score.of(run, name)
        if score is None:
            continue
        reach = score.reach()
        ends = {"low": reach[0], "high": reach[1]} if reach else {}
        values.append({"name": run.name, "y": score.value, **ends})
        rows.append([text_cell(run.name), number_cell(score.value, score.note)])
    row = {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 220, "grid": True}}
    value = axis("y", NAMES[name], scale={"zero": False, "nice": True})
    told = [{"field": "name", "type": "nominal", "title": "run"}, {**value, "format": ".3f"}]
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2, "color": COLORS[0]},
         "encoding": {"y": row, "x": {**value, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 70, "color": COLORS[0], "opacity": 1},
         "encoding": {"y": row, "x": value, "tooltip": [plain(channel) for channel in told]}},
    ]  # fmt: skip
    title = f"{NAMES[name][:1].upper()}{NAMES[name][1:]} of the runs"
    table = Table(title, ["run", NAMES[name]], rows)
    spec = chart(layers, values, height=24 * len(values) + 8)
    least, most = (number_text(end(value["y"] for value in values)) for end in (min, max))
    return Chart(title, spec, f"{title}, {len(values)} of them, from {least} to {most}.", table, wide=True)


def precision_recall_chart(found: Predictions) -> Chart | None:
    """Precision against recall of each class against the others."""
    counts = np.bincount(found.true, minlength=len(found.classes))
    values, rows, names = [], [], []
    for k in sorted(np.argsort(-counts, kind="stable")[:N_COLORS]):
        curve = precision_recall(found.true == k, found.probability[:, k])
        if curve is None:
            continue
        name = f"{found.classes[k]} ({counts[k]})"
        names.append(name)
        keep = np.unique(np.linspace(0, len(curve.recall) - 1, MOST_POINTS).round().astype(int))
        recall, precision = curve.recall.round(5).tolist(), curve.precision.round(5).tolist()
        values += [{"x": recall[i], "y": precision[i], "name": name, "order": i} for i in keep.tolist()]
        rows.append([text_cell(found.classes[k]), number_cell(float(counts[k])), number_cell(curve.area)])
    if not names:
        return None
    title = "Precision and recall over all thresholds"
    share = {"scale": {"domain": [0, 1]}, "axis": {"format": PERCENT}}
    spec = lines(
        values, axis("x", "recall: share of the class that is found", **share),
        axis("y", "precision: share of the found that is right", **share), names, "step-after", height=320,
    )  # fmt: skip
    spec["layer"][0]["encoding"]["order"] = {"field": "order", "type": "quantitative"}
    areas = "; ".join(f"{row[0].text} {row[2].text}" for row in rows)
    alt = f"{title}, each class against the others. Areas below the curves: {areas}."
    return Chart(title, spec, alt, Table("Areas below the curves", ["class", "records", "average precision"], rows))


def calibration_chart(found: Predictions) -> Chart:
    """How often answers are right against how sure they are."""
    sure = found.probability.max(axis=1)
    bins = in_bins(np.clip(sure, 0, 1), found.probability.argmax(axis=1) == found.true)
    values, rows = [], []
    for number in np.flatnonzero(bins.count):
        right, n = float(bins.accuracy[number]), int(bins.count[number])
        spread = float(np.sqrt(right * (1 - right) / n))
        values.append({"x": float(bins.probability[number]), "y": right, "n": n, "low": right - spread,
                       "high": right + spread, "name": "answers"})  # fmt: skip
        span = f"{number / BINS:.0%} to {(number + 1) / BINS:.0%}"
        rows.append([text_cell(span), number_cell(n), number_cell(float(bins.probability[number])), number_cell(right)])
    error = mean_distance(bins)
    share = {"scale": {"domain": [0, 1]}, "axis": {"format": PERCENT}}
    x, y = axis("x", "probability of the answer", **share), axis("y", "share that is right", **share)
    told = [{**x, "format": ".1%"}, {**y, "format": ".1%"}, axis("n", "records")]
    corners = {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}
    layers = [
        {"data": corners, "encoding": {"x": x, "y": y},
         "mark": {"type": "line", "color": INK, "opacity": 0.5, "strokeDash": [4, 4], "strokeWidth": 1}},
        {"mark": {"type": "rule", "color": COLORS[0], "strokeWidth": 1.5},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"mark": {"type": "line", "color": COLORS[0], "strokeWidth": 2, "clip": True}, "encoding": {"x": x, "y": y}},
        {"mark": {"type": "point", "filled": True, "opacity": 1, "color": COLORS[0]},
         "encoding": {"x": x, "y": y, "size": {"field": "n", "type": "quantitative", "legend": None,
                                               "scale": {"range": [30, 260]}},
                      "tooltip": [plain(channel) for channel in told]}},
    ]  # fmt: skip
    title = f"Calibration: expected error {number_text(error)}"
    alt = (
        f"Share of right answers against their probability, in {len(rows)} bins; on the diagonal, answers are as often "
        "right as sure."
    )
    table = Table("Calibration", ["probability", "records", "mean probability", "share right"], rows)
    return Chart(title, chart(layers, values, height=320), alt, table)
