"""A comparison of encoders as parts of the page."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from seisml.errors import UserError, shown
from seisml.report.parts import SHADES, Cell, Chart, Part, Table, number_cell, number_text, signed, text_cell
from seisml.report.reading import read_json, read_table
from seisml.report.vega import PERCENT, axis, by_name, chart, picked
from seisml.values.file_names import COMPARISON_FILE, RESULTS_FILE, SUMMARY_FILE
from seisml.values.stored import read_stored

NUMBERS = ("acc", "balanced_acc", "f1_macro", "acc_std", "train_events", "trials", "fraction")
DIFFERENCES = {"to_scratch": "to scratch", "to_random": "to a random encoder"}
MOST_ROWS = 2000
MOST_CURVES = 16
DODGE = 1.02  # side by side, so that bars do not hide each other


class About(BaseModel):
    """What ``comparison.json`` says.

    Attributes:
        command: The words of the command.
        versions: Of what computed.
    """

    model_config = ConfigDict(strict=True, extra="ignore")

    command: Annotated[list[Annotated[str, Field(max_length=4000)]], Field(max_length=1000)]
    versions: dict[str, str | None]


@dataclass
class Comparison:
    """A folder of ``seisml compare``.

    Attributes:
        folder: Where it is.
        summary: A row for each probe, number of labels and way to use them; numbers as numbers.
        cells: A row for each trial of them.
        about: What it was made with; None where that was not written down.
        problems: What could not be read, a line each.
    """

    folder: Path
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    about: About | None = None
    problems: list[str] = field(default_factory=list)


def read_comparison(folder: Path) -> Comparison:
    """Read the tables; what is broken costs itself, and is said."""
    found = Comparison(folder)
    try:
        table = read_table(folder / SUMMARY_FILE, ("probe", "labels", "row", *NUMBERS)).head(MOST_ROWS)
        ends = [f"{name}{end}" for name in DIFFERENCES for end in ("", "_low", "_high")]
        for name in (*NUMBERS, *(name for name in ends if name in table)):
            table[name] = pd.to_numeric(table[name], errors="coerce")
        found.summary = table[np.isfinite(table["acc"])]
        found.cells = read_table(folder / RESULTS_FILE, ("probe", "row", "labels", "seed"))
    except UserError as error:
        found.problems.append(str(error))
    try:
        if (folder / COMPARISON_FILE).is_file():
            found.about = read_stored(About, read_json(folder / COMPARISON_FILE), shown(folder / COMPARISON_FILE))
    except UserError as error:
        found.problems.append(str(error))
    return found


def comparison_parts(found: Comparison, key: str) -> list[Part]:
    """Accuracy over the number of labels, and the table of means and paired differences, for each probe."""
    parts = []
    if not len(found.summary):
        return parts
    parts.append(Part("Differences to training from scratch", f"{key}-map", tables=[_map(found.summary)]))
    for number, (probe, some) in enumerate(found.summary.groupby("probe", sort=False)):
        part = Part(f"Probe {probe}", f"{key}-probe-{number}", charts=[_curves(str(probe), some)], drawn_first=True)
        part.tables = [_means(str(probe), some)]
        parts.append(part)
    seen = _seen(found.cells)
    about = Part("How to reproduce", f"{key}-again", facts=[("Folder", shown(found.folder))])
    about.facts.append(("Trials", str(int(found.summary["trials"].max()))))
    about.facts.append(("Test events that an encoder had seen", seen))
    if found.about is not None:
        about.code.append(("Command", shlex.join(found.about.command)))
        about.facts += [(f"{name} version", value) for name, value in found.about.versions.items() if value]
    return [*parts, about]


def _seen(cells: pd.DataFrame) -> str:
    if "test_events_seen" not in cells:
        return "not known"
    counts = pd.to_numeric(cells["test_events_seen"], errors="coerce")
    if not counts.notna().any():
        return "not known"
    return number_text(float(counts.max())) + (" (no leak that could be seen)" if counts.max() == 0 else " at most")


def _means(probe: str, some: pd.DataFrame) -> Table:
    head = ["way to use the labels", "labels", "events", "accuracy", "balanced accuracy", "macro F1"]
    shown_ends = {name: words for name, words in DIFFERENCES.items() if name in some}
    rows = []
    for line in some.to_dict("records"):
        spread = f"± {number_text(line['acc_std'])}" if np.isfinite(line["acc_std"]) else ""
        rows.append([
            text_cell(line["row"]), text_cell(line["labels"]), number_cell(round(line["train_events"], 1)),
            number_cell(line["acc"], spread), number_cell(line["balanced_acc"]), number_cell(line["f1_macro"]),
            *(_difference(line, name) for name in shown_ends),
        ])  # fmt: skip
    note = (
        "± is the standard deviation over the trials. Differences in accuracy are paired over the same splits, with "
        "95 % intervals; those that exclude zero stand out. With many rows, some exclude zero by chance."
    )
    return Table(f"{probe}: means over the trials", [*head, *shown_ends.values()], rows, note)


def _difference(line: dict, name: str) -> Cell:
    mean, low, high = (line.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    if not np.isfinite(mean):
        return Cell("–", number=True)
    note = f"[{signed(low)}, {signed(high)}]" if np.isfinite(low) and np.isfinite(high) else ""
    return Cell(signed(mean), note, True, strong=str(line.get(f"{name}_real")) == "True")


def _map(summary: pd.DataFrame) -> Table:
    """Paired differences to scratch in percentage points: a row for each way, a column for each probe and labels."""
    columns = list(dict.fromkeys(zip(summary["probe"], summary["labels"], strict=True)))[:60]
    lines = {(line["probe"], line["labels"], line["row"]): line for line in summary.to_dict("records")}
    values = summary["to_scratch"] if "to_scratch" in summary else pd.Series(dtype=float)
    reach = max(0.05, float(values.abs().max()) if values.notna().any() else 0.0)
    rows = []
    for name in dict.fromkeys(summary["row"]):
        cells = [text_cell(name)]
        for column in columns:
            line = lines.get((*column, name))
            difference = line.get("to_scratch", np.nan) if line else np.nan
            if line is None:
                cells.append(Cell("–", number=True))
            elif not np.isfinite(difference):
                cells.append(Cell(f"{100 * line['acc']:.1f} %", number=True))
            else:
                is_real = str(line.get("to_scratch_real")) == "True"
                shade = round(difference / reach * SHADES)
                cells.append(Cell(signed(100 * difference, 1), "", True, shade, is_real))
        rows.append(cells)
    note = (
        "Percentage points of accuracy beyond training from scratch, whose accuracy stands in its row. Bold: the 95 % "
        "interval excludes zero."
    )
    head = ["", *(f"{probe}, {labels}" for probe, labels in columns)]
    return Table("What each way to use the labels gains", head, rows, note, "matrix")


def _curves(probe: str, some: pd.DataFrame) -> Chart:
    names = list(dict.fromkeys(some["row"]))[:MOST_CURVES]
    values = [
        {"x": line["train_events"] * DODGE ** (names.index(line["row"]) - len(names) / 2), "y": line["acc"],
         "events": line["train_events"], "low": line["acc"] - spread, "high": line["acc"] + spread, "name": line["row"]}
        for line in some.to_dict("records")
        if line["row"] in names and line["train_events"] > 0
        for spread in [line["acc_std"] if np.isfinite(line["acc_std"]) else 0.0]
    ]  # fmt: skip
    ticks = sorted({round(value["events"]) for value in values})
    x = axis("x", "labelled training events", scale={"type": "log", "nice": False, "padding": 12},
             axis={"values": ticks, "format": "d"})  # fmt: skip
    y = axis("y", "test accuracy", scale={"zero": False, "nice": True}, axis={"format": PERCENT})
    told = [{"field": "name", "type": "nominal", "title": "way"}, axis("events", "events", format=".1f"),
            axis("y", "accuracy", format=".3f")]  # fmt: skip
    encoding = {"x": x, "y": y, **by_name(names)}
    bars = {name: channel for name, channel in encoding.items() if name != "strokeDash"}
    dots = {**bars, "tooltip": told}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 1.2}, "params": [picked()],
         "encoding": {**bars, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": encoding},
        {"mark": {"type": "point", "filled": True, "size": 55}, "encoding": dots},
    ]  # fmt: skip
    title = f"{probe}: accuracy over the number of labelled events"
    best = max(values, key=lambda value: value["y"], default=None)
    alt = f"{title}, a curve for each of {len(names)} ways; bars are one standard deviation over the trials."
    alt += f" The best is {best['name']} with {best['y']:.1%} at {number_text(best['events'])} events." if best else ""
    return Chart(title, chart(layers, values, 340), alt, wide=True)
