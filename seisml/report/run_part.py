"""A run as parts of the page."""

from __future__ import annotations

import shlex

import pandas as pd
import yaml

from seisml.errors import shown
from seisml.report.budget import Budget
from seisml.report.charts import calibration_chart, precision_recall_chart, training_charts
from seisml.report.parts import Cell, Chart, Part, Table, number_cell, number_text, text_cell
from seisml.report.reading import Picture, read_picture
from seisml.report.results import class_table, confusion_table, metric_table
from seisml.report.runs import Run, as_number

FIGURES = {  # file name without its suffix -> what it shows
    "gallery": "Test events: waveform, spectrogram, and what the network answers",
    "false_predictions": "False predictions: waveform, spectrogram and probabilities",
    "embedding_map": "Map of the embeddings (t-SNE), coloured by class",
    "loss_curves": "Training curves",
    "precision_recall": "Precision and recall over all thresholds",
    "calibration": "Calibration curve",
    "confusion_matrix": "Confusion matrix",
}
MOST_FIGURES = 40
PARTS = ("train", "dev", "test")


def run_part(run: Run, key: str, budget: Budget) -> Part:
    """Everything about one of several runs, to be unfolded.

    Args:
        run: The run.
        key: Name of the part in links.
        budget: Pictures that the page may still take.
    """
    metrics = metric_table([run])
    part = Part(run.name, key, facts=run_facts(run), folded=True)
    part.tables = [metrics] if metrics is not None else []
    part.inner = run_parts(run, key, budget)
    return part


def run_parts(run: Run, key: str, budget: Budget) -> list[Part]:
    """What there is to say of a run beside its metrics: classes, curves, figures, data, how to reproduce it.

    Args:
        run: The run.
        key: Name of the parts in links, before that of each.
        budget: Pictures that the page may still take.
    """
    tables = [table for table in (_fold_table(run), class_table(run), confusion_table(run)) if table is not None]
    charts, drawn = _charts(run)
    pictures = _pictures(run, drawn, budget)
    parts = [
        Part("Folds and classes" if run.folds else "Classes", f"{key}-classes", tables=tables),
        Part("Curves", f"{key}-curves", charts=charts),
        Part("Figures", f"{key}-figures", pictures=pictures),
        _data(run, key),
        _reproduce(run, key),
    ]
    return [part for part in parts if part.facts or part.tables or part.charts or part.pictures or part.code]


def run_facts(run: Run) -> list[tuple[str, str]]:
    """Short statements about a run."""
    facts = [("Folder", shown(run.folder))]
    method = run.settings.get("model_params")
    if isinstance(method, dict):
        named = [method.get("name"), method.get("backbone_type")]
        facts += [("Method", ", ".join(str(value) for value in named if value))] if any(named) else []
    if run.folds:
        facts.append(("Folds", str(len(run.folds))))
    answered = run.text("test/predicted_by")
    if answered:
        facts.append(("Answers by", answered))
    decision = run.mapping("decision")
    if as_number(decision.get("threshold")) is not None:
        words = f"{number_text(as_number(decision['threshold']))}, the best of the dev part"
        facts.append(("Threshold of an event", words))
    seconds = as_number(run.mapping("seconds").get("total"))
    if seconds is not None:
        facts.append(("Time", f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"))
    if run.metrics.get("learned") is False:
        facts.append(("Remark", "its losses are no lower than those of a constant answer: it has not learned"))
    return facts


def _fold_table(run: Run) -> Table | None:
    if not run.folds:
        return None
    names = [name for name in ("test/acc", "test/balanced_acc", "test/f1_macro", "test/mae", "test/constant_acc")
             if any(fold.number(name) is not None for fold in run.folds)]  # fmt: skip
    rows = [
        [text_cell(fold.name), number_cell(as_number(fold.mapping("events").get("test"))),
         *(number_cell(fold.number(name)) for name in names)]
        for fold in run.folds
    ]  # fmt: skip
    if run.metrics:
        mean = [number_cell(run.number(name), f"± {number_text(run.number(f'{name}_std'))}") for name in names]
        rows.append([Cell("mean", strong=True), Cell(""), *mean])
    head = ["fold", "test events", *(name.partition("/")[2].replace("_", " ") for name in names)]
    return Table("Folds", head, rows, "± is the standard deviation over the folds.")


def _charts(run: Run) -> tuple[list[Chart], set[str]]:
    """Draw what the run's tables hold; beside the charts, the figures that need no picture any more."""
    logged = {fold.name: curves for fold in run.folds or [run] if (curves := fold.curves()) is not None}
    made = training_charts(logged) if logged else []
    drawn = {"loss_curves"} if made else set()
    drawn |= {"confusion_matrix"} if run.confusion() is not None else set()
    found = run.predictions()
    if found is not None:
        curve = precision_recall_chart(found)
        made += [calibration_chart(found)] if curve is None else [curve, calibration_chart(found)]
        drawn |= {"precision_recall", "calibration"}
    return made, drawn


def _pictures(run: Run, drawn: set[str], budget: Budget) -> list[Picture]:
    """The run's figures that no chart shows."""
    folder = run.folder / "figures"
    if not folder.is_dir() or folder.is_symlink():
        return []
    files = {path.stem: path for path in sorted(folder.glob("*.png"))[:MOST_FIGURES]}
    ordered = [*(name for name in FIGURES if name in files), *(name for name in files if name not in FIGURES)]
    made = []
    for name in ordered:
        if name in drawn or not budget.take():
            continue
        words = FIGURES.get(name, name.replace("_", " "))
        picture = run.attempt(lambda name=name, words=words: read_picture(files[name], words))
        made += [picture] if picture is not None else []
    return made


# -- data --------------------------------------------------------------------------------------------------------------
def _data(run: Run, key: str) -> Part:
    part = Part("Data", f"{key}-data")
    settings = run.settings.get("dataset")
    if isinstance(settings, dict):
        names = {"root": "Data set", "_target_": "Read by", "split_procedure": "Split", "split_by": "Split by"}
        part.facts = [(words, str(settings[name])) for name, words in names.items() if settings.get(name) is not None]
    counts = _counts(run)
    if counts is not None:
        part.tables.append(counts)
    split = run.split()
    if split is not None:
        part.tables += [table] if (table := _class_counts(split)) is not None else []
        part.facts += _times(split)
    seen = run.mapping("pretrained").get("test_events_seen")
    if isinstance(seen, dict) and as_number(seen.get("seen")) is not None:
        words = f"{seen['seen']} of the {seen.get('events', '?')} test events"
        part.facts.append(("Seen in pretraining", words))
    return part


def _counts(run: Run) -> Table | None:
    records, events = run.mapping("records"), run.mapping("events")
    rows = [
        [text_cell(name), number_cell(as_number(records.get(name))), number_cell(as_number(events.get(name)))]
        for name in PARTS
        if as_number(records.get(name))
    ]
    return Table("Parts of the data", ["part", "records", "events"], rows) if rows else None


def _class_counts(split: pd.DataFrame) -> Table | None:
    if "trace_category" not in split:
        return None
    counts = pd.crosstab(split["trace_category"], split["part"])
    if not 0 < len(counts) <= 100:
        return None
    parts = [name for name in PARTS if name in counts]
    rows = [[text_cell(name or "unlabelled"), *(number_cell(float(row[part])) for part in parts)]
            for name, row in counts.iterrows()]  # fmt: skip
    return Table("Records of each class", ["class", *parts], rows)


def _times(split: pd.DataFrame) -> list[tuple[str, str]]:
    if "trace_start_time" not in split:
        return []
    times = split["trace_start_time"][split["trace_start_time"] != ""].sort_values()
    return [("Recorded", f"{times.iloc[0][:10]} to {times.iloc[-1][:10]}")] if len(times) else []


# -- how to do it again ------------------------------------------------------------------------------------------------
def _reproduce(run: Run, key: str) -> Part:
    part = Part("How to reproduce", f"{key}-again")
    if run.settings:
        part.facts += [("Seed", str(run.settings["seed"]))] if "seed" in run.settings else []
        command = command_of(run)
        part.code += [("Command", command)] if command else []
        text = yaml.safe_dump(run.settings, sort_keys=False, allow_unicode=True, width=110)
        part.code.append(("The whole configuration (config.yaml)", text))
    if run.text("split_hash"):
        part.facts.append(("Hash of the split", str(run.text("split_hash"))))
    part.facts += [(f"{name} version", str(value)) for name, value in run.mapping("versions").items() if value]
    return part


def command_of(run: Run) -> str | None:
    """The command line that Hydra has noted, with the seed that was used; None where nothing was noted."""
    if not run.overrides and run.program is None:
        return None
    program = run.program if run.program in ("sslearn", "finetune") else _program(run)
    config = "configs/ssl.yaml" if program == "sslearn" else "configs/finetune.yaml"
    words = ["python", f"{program}.py", "--config", config, *run.overrides]
    return shlex.join(words)


def _program(run: Run) -> str:
    dataset = run.settings.get("dataset")
    return "sslearn" if isinstance(dataset, dict) and dataset.get("is_ssl") else "finetune"

