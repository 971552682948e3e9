"""Results as tables: metrics with their intervals, classes, confusions, and differences over the same splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seisml.evaluation.names import CLASSIFICATION, REGRESSION
from seisml.evaluation.paired import paired_difference
from seisml.report.parts import SHADES, Cell, Table, interval_text, number_cell, number_text, signed, text_cell
from seisml.report.runs import Run, as_number
from seisml.report.settings import groups

NAMES = {f"test/{name}": words for name, words in (CLASSIFICATION | REGRESSION).items()} | {
    "test/detection_acc": "detection accuracy",
    "test/location_acc": "location accuracy",
    "probe/knn_acc": "accuracy of 5 nearest neighbours",
    "dev/loss": "loss of the dev part",
    "train/loss": "loss of training",
    "parameters": "parameters",
}
CHARTED = ("test/acc", "test/balanced_acc", "test/f1_macro", "probe/knn_acc", "test/mae", "test/rmse")
SCORES = ("test/acc", "test/f1_macro", "probe/knn_acc", "test/mae")  # what runs are compared by: the first they have
MEASURES = {"precision": "precision", "recall": "recall", "f1": "F1"}
MOST_COMPARED = 30


@dataclass(frozen=True)
class Score:
    """A metric of a run.

    Attributes:
        value: The metric, or its mean over folds.
        ends: The interval's, or none.
        spread: Standard deviation over folds; None for a single run.
    """

    value: float
    ends: tuple[float, ...] = ()
    spread: float | None = None

    @classmethod
    def of(cls, run: Run, name: str) -> Score | None:
        """Read a metric; None where the run has none."""
        value, ends = run.number(name), run.numbers(f"{name}_interval")
        return None if value is None else cls(value, tuple(ends) if len(ends) == 2 else (), run.number(f"{name}_std"))

    @property
    def note(self) -> str:
        """The interval or the spread, in words."""
        if self.spread is not None:
            return f"± {number_text(self.spread)}"
        return interval_text(self.ends)

    def reach(self) -> tuple[float, float] | None:
        """Ends of a bar around the value."""
        if self.spread is not None:
            return self.value - self.spread, self.value + self.spread
        return (self.ends[0], self.ends[1]) if self.ends else None


def metric_table(runs: Sequence[Run]) -> Table | None:
    """Metrics of runs, each with its interval, or its standard deviation over folds; None where no run has any."""
    names = [name for name in NAMES if any(run.number(name) is not None for run in runs)]
    if not names:
        return None
    note = "In brackets: 95 % intervals, which resample events." if _any_interval(runs, names) else ""
    if any(run.folds for run in runs):
        note += " ± is the standard deviation over the folds."
    if len(runs) == 1:
        others = {"trained": "training events", "test/constant": "constant answer"}
        columns = {start: words for start, words in others.items()
                   if any(runs[0].number(_other(name, start)) is not None for name in names)}  # fmt: skip
        head = ["", "result", *columns.values()]
        rows = [
            [text_cell(NAMES[name]), _cell(runs[0], name), *(_cell(runs[0], _other(name, start)) for start in columns)]
            for name in names
        ]
    elif len(runs) <= 3:
        head = ["", *(run.name for run in runs)]
        rows = [[text_cell(NAMES[name]), *(_cell(run, name) for run in runs)] for name in names]
    else:
        best = {name: _best(runs, name) for name in SCORES}
        head = ["run", *(NAMES[name] for name in names)]
        rows = [
            [Cell(run.name, link=f"run-{number}"), *(_cell(run, name, best.get(name)) for name in names)]
            for number, run in enumerate(runs)
        ]
        note += " The best of a column stands out; with many runs some are best by chance."
    return Table("Metrics", head, rows, note.strip())


def _any_interval(runs: Sequence[Run], names: Sequence[str]) -> bool:
    return any(run.numbers(f"{name}_interval") for run in runs for name in names)


def _other(name: str, start: str) -> str:
    """Name of a metric of the test part where it is one of other records, or of another answer."""
    if not name.startswith("test/"):
        return ""
    words = name.removeprefix("test/")
    return f"{start}_{words}" if start.startswith("test/") else f"{start}/{words}"


def _best(runs: Sequence[Run], name: str) -> float | None:
    values = [value for run in runs if (value := run.number(name)) is not None]
    if len(values) < 2:
        return None
    return min(values) if name == "test/mae" else max(values)


def _cell(run: Run, name: str, best: float | None = None) -> Cell:
    score = Score.of(run, name)
    if score is None:
        return number_cell(None)
    return number_cell(score.value, score.note, strong=best is not None and score.value == best)


def group_table(runs: Sequence[Run]) -> Table | None:
    """Means over the seeds of each setting; None where no setting was repeated."""
    found = groups(runs)
    if len(found) == len(runs) or not found:
        return None
    names = [name for name in NAMES if any(run.number(name) is not None for run in runs)]
    rows = []
    for title, some in found:
        cells = []
        for name in names:
            values = [value for run in some if (value := run.number(name)) is not None]
            note = f"± {number_text(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
            cells.append(number_cell(float(np.mean(values)) if values else None, note))
        rows.append([text_cell(title), number_cell(len(some)), *cells])
    head = ["settings", "seeds", *(NAMES[name] for name in names)]
    return Table("Means over seeds", head, rows, "± is the standard deviation over the seeds.")


def paired_table(runs: Sequence[Run]) -> Table | None:
    """Differences between settings over the splits that they share; None where they share fewer than two."""
    entries = [(title, _trials(some)) for title, some in groups(runs)][:MOST_COMPARED]
    score = next((name for name in SCORES if all(_scored(trials, name) for _, trials in entries)), None)
    if score is None or len(entries) < 2:
        return None
    (first, base), rows = entries[0], []
    known = {_split(run): run for run in base if run.text("split_hash")}
    for title, trials in entries[1:]:
        pairs = [(run, known[_split(run)]) for run in trials if _split(run) in known]
        if len(pairs) < 2:
            continue
        values = [[run.number(score) or 0.0 for run in side] for side in zip(*pairs, strict=True)]
        found = paired_difference(values[0], values[1], float(np.mean([_test_share(run) for run, _ in pairs])))
        real = found.excludes_zero
        difference = Cell(signed(found.mean), f"[{signed(found.low)}, {signed(found.high)}]", True, strong=real)
        rows.append([text_cell(title), number_cell(found.n), difference, text_cell("yes" if real else "no")])
    if not rows:
        return None
    note = (
        "Corrected resampled t interval (Nadeau and Bengio 2003): splits of one data set are not independent. "
        "With many rows, some exclude zero by chance."
    )
    head = ["setting", "splits", "difference", "interval excludes zero"]
    return Table(f"{NAMES[score].capitalize()}: difference to {first}, over the same splits", head, rows, note)


def _trials(runs: Sequence[Run]) -> list[Run]:
    return [trial for run in runs for trial in (run.folds or [run])]


def _split(run: Run) -> tuple[str | None, str]:
    """What two runs share that were trained and tested on the same records from the same seed."""
    return run.text("split_hash"), str(run.settings.get("seed"))


def _scored(trials: Sequence[Run], name: str) -> bool:
    return bool(trials) and all(trial.number(name) is not None for trial in trials)


def _test_share(run: Run) -> float:
    events = {part: as_number(count) or 0.0 for part, count in run.mapping("events").items()}
    whole = sum(events.values())
    return min(0.9, events.get("test", 0.0) / whole) if whole > 0 else 0.2


def class_table(run: Run) -> Table | None:
    """Precision, recall and F1 of each class; None for runs without them."""
    rows = []
    for name, values in run.mapping("test/per_class").items():
        if not isinstance(values, dict):
            continue
        cells = [_measure(values, measure) for measure in MEASURES]
        rows.append([text_cell(name), number_cell(as_number(values.get("support"))), *cells])
    if not rows:
        return None
    note = "In brackets: 95 % intervals, which resample events."
    return Table("Classes", ["class", "records", *MEASURES.values()], rows, note)


def _measure(values: dict[str, Any], name: str) -> Cell:
    ends = values.get(f"{name}_interval")
    ends = [as_number(end) for end in ends] if isinstance(ends, list) else []
    note = interval_text([end for end in ends if end is not None]) if None not in ends else ""
    return number_cell(as_number(values.get(name)), note)


def confusion_table(run: Run) -> Table | None:
    """Counts of answers by true class, coloured by their share of the row; None where there are none."""
    counts = run.confusion()
    if counts is None:
        return None
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    share = counts / total
    rows = []
    for number, name in enumerate(run.classes):
        cells = [
            Cell(number_text(float(count)), f"{part:.0%}" if count else "", True, round(float(part) * SHADES))
            for count, part in zip(counts[number], share[number], strict=True)
        ]
        rows.append([text_cell(name), *cells])
    note = "Columns are answers; shares are those of a row."
    return Table("Confusion matrix", ["true class", *run.classes], rows, note, "matrix")
