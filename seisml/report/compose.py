"""From folders to a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seisml.errors import shown
from seisml.report.budget import Budget
from seisml.report.charts import metric_chart, training_charts
from seisml.report.comparison_part import comparison_parts, read_comparison
from seisml.report.continuous.event_list import read_event_list
from seisml.report.continuous.parts import record_parts
from seisml.report.continuous.records import read_record
from seisml.report.gather import Gathered, gather
from seisml.report.page import Page
from seisml.report.parts import Part, Tile, number_text
from seisml.report.results import NAMES, Score, group_table, metric_table, paired_table
from seisml.report.run_part import run_facts, run_part, run_parts
from seisml.report.runs import Run
from seisml.report.settings import difference_table, titles

TILES = (
    "test/acc", "test/balanced_acc", "test/f1_macro", "test/ece", "probe/knn_acc", "test/mae", "test/rmse", "test/r2",
)  # fmt: skip
SHARES = ("acc", "f1", "ece")  # words of metrics that lie between 0 and 1


@dataclass(frozen=True)
class ReportOptions:
    """What ``seisml report`` can be asked for.

    Attributes:
        title: Of the page; by default from what is in it.
        pictures: Most pictures of the page.
        labels: List of events to compare continuous records with.
        within: Seconds that an event may lie beside a detection; by default the length of a window.
        recordings: Where the continuous records are, where they have moved.
    """

    title: str | None = None
    pictures: int = 60
    labels: Path | None = None
    within: float | None = None
    recordings: tuple[Path, ...] = ()


def compose(folders: Sequence[Path], options: ReportOptions) -> Page:
    """Read folders and lay out the page.

    Raises:
        UserError: A folder is missing or holds nothing, or the list of events cannot be read.
    """
    events = read_event_list(options.labels) if options.labels is not None else None
    found = gather(folders)
    budget = Budget(options.pictures)
    page = Page(options.title or _title(found), _subtitle(found), problems=found.problems)
    page.parts += _runs(found.runs, budget)
    for run in found.runs:
        page.problems += [*run.problems, *(problem for fold in run.folds for problem in fold.problems)]
    alone = len(found.comparisons) + len(found.records) == 1 and not page.parts
    for number, folder in enumerate(found.comparisons):
        comparison = read_comparison(folder)
        parts = comparison_parts(comparison, f"comparison-{number}")
        page.parts += parts if alone else [Part(shown(folder), f"comparison-{number}", inner=parts)]
        page.problems += comparison.problems
    for number, folder in enumerate(found.records):
        record = read_record(folder)
        parts = record_parts(record, f"record-{number}", budget, events, options.within, options.recordings)
        page.parts += parts if alone else [Part(shown(folder), f"record-{number}", inner=parts)]
        page.problems += record.problems
        page.subtitle = page.subtitle or f"{len(record.found)} detections at {len(record.stations)} stations"
    if budget.refused:
        page.problems.append(f"{budget.refused} pictures found no place: --pictures {options.pictures} takes no more")
    return page


def _title(found: Gathered) -> str:
    for kind, names in (
        ("", [run.name for run in found.runs]),
        ("Comparison ", [folder.name for folder in found.comparisons]),
        ("Continuous records: ", [folder.name for folder in found.records]),
    ):
        if len(names) == 1 == len(found.runs) + len(found.comparisons) + len(found.records):
            return f"{kind}{names[0]}"
    words = []
    for count, one, many in (
        (len(found.runs), "run", "runs side by side"),
        (len(found.comparisons), "comparison", "comparisons"),
        (len(found.records), "prediction of continuous records", "predictions of continuous records"),
    ):
        words += [f"{count} {many if count > 1 else one}"] if count else []
    text = ", ".join(words)
    return text[:1].upper() + text[1:]


def _subtitle(found: Gathered) -> str:
    methods = dict.fromkeys(
        str(section["name"])
        for run in found.runs
        if isinstance(section := run.settings.get("model_params"), dict) and section.get("name")
    )
    classes = found.runs[0].classes if found.runs else []
    words = [", ".join(list(methods)[:6])] if methods else []
    words += [f"{len(classes)} classes: {', '.join(classes[:12])}"] if classes else []
    return "; ".join(words)


def _runs(runs: Sequence[Run], budget: Budget) -> list[Part]:
    if not runs:
        return []
    for run, title in zip(runs, titles(runs), strict=True):
        run.name = title
    first = Part("Results", "results")
    first.tables = [table for table in (metric_table(runs), group_table(runs), paired_table(runs)) if table is not None]
    parts = [first]
    if len(runs) == 1:
        first.tiles, first.facts = _tiles(runs[0]), run_facts(runs[0])
        return [first, *run_parts(runs[0], "run", budget)]
    chart = metric_chart(runs)
    first.charts += [chart] if chart is not None else []
    differences = difference_table(runs)
    if differences is not None:
        parts.append(Part("What differs", "differences", tables=[differences]))
    logged = {run.name: curves for run in runs if not run.folds and (curves := run.curves()) is not None}
    if len(logged) > 1:
        parts.append(Part("Training", "training", charts=training_charts(logged)))
    for number, run in enumerate(runs):
        parts.append(run_part(run, f"run-{number}", budget))
    return parts


def _tiles(run: Run) -> list[Tile]:
    made = []
    for name in TILES:
        score = Score.of(run, name)
        if score is None:
            continue
        is_share = any(word in name for word in SHARES) and 0 <= score.value <= 1
        reach = score.reach() if is_share else None
        low, high = (min(1.0, max(0.0, end)) for end in reach) if reach else (None, None)
        blind = run.number(name.replace("test/", "test/constant_", 1)) if is_share else None
        value = score.value if is_share else None
        made.append(Tile(NAMES[name], number_text(score.value), score.note, value, low, high, blind))
    return made[:4]
