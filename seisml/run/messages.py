"""What a run says on the screen: its data, what its encoder has seen, and where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seisml.evaluation.decision import Decision
from seisml.store.identity import event_ids, overlap
from seisml.terminal.text_table import text_table, with_interval

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.tasks.base import Task

MOST_ROWS = 24  # of a closing table

# several processes of one run speak with one voice, and at once: a log file holds warnings and lines in their order
say = rank_zero_only(partial(print, flush=True))


def parts_of(data: StoreDataModule) -> dict[str, tuple[StoreDataModule, np.ndarray]]:
    """Rows of each part of the split, and what they are rows of."""
    tested = data.tested
    return {"train": (data, data.split.train), "dev": (data, data.split.dev), "test": (tested, tested.split.test)}


def events_of(data: StoreDataModule, rows: np.ndarray) -> np.ndarray:
    """Names of the events of some rows, each once."""
    return np.unique(event_ids(data.ready_store.metadata)[rows])


def say_data(data: StoreDataModule) -> None:
    """Say what the data are and how they are split."""
    split, facts = data.split, data.facts
    parts = ", ".join(
        f"{part} {len(rows)} records of {len(events_of(of, rows))} events"
        + (f" in {len(of.windows(rows))} windows" if data.is_cut else "")
        for part, (of, rows) in parts_of(data).items()
    )
    say(
        f"Data: {data.root}, {len(data.ready_store)} records, {data.task.describe(facts)}, {facts.n_samples} samples "
        f"at {facts.sampling_rate:.10g} Hz\nSplit: {data.split_procedure}, {parts} ({split.hash[:12]})"
    )
    if data.no_dev:
        say(f"Note: no dev part ({data.no_dev}): the run takes all its steps and ends with the last one's model.")
    if data.tested is data:
        return
    tested = events_of(data.tested, data.tested.split.test)
    seen = np.isin(tested, events_of(data, np.concatenate([split.train, split.dev]))).sum()
    say(f"Test: {data.tested.root}, {len(tested)} events; {seen} of them have names that training has, too")


def say_overruled(settings: Sequence[str], path: str | Path) -> None:
    """Say which settings of the network gave way to those of an encoder."""
    if settings:
        say(f"The encoder {path} overrules the configuration: {', '.join(settings)}.")


def say_rates(data: StoreDataModule, pretrained: dict[str, Any]) -> None:
    """Say where a pretrained encoder meets another sampling rate than that of its training."""
    rate = pretrained["record"].get("facts", {}).get("sampling_rate", data.facts.sampling_rate)
    if rate != data.facts.sampling_rate:
        say(f"Mind that the encoder was trained at {rate:g} Hz and these data have {data.facts.sampling_rate:g} Hz.")


def seen_report(pretrained: dict[str, Any] | None, data: StoreDataModule) -> dict[str, Any] | None:
    """Which events of the test part the pretrained encoder has seen without labels."""
    if pretrained is None:
        return None
    if data.split_procedure in ("stratified", "published"):
        say(
            f"Note: with the {data.split_procedure} split another train_data_ratio gives another test part, which the "
            "pretrained encoder may have seen; dataset.split_procedure=fixed_test keeps one test part for all label "
            "fractions."
        )
    seen = pretrained["record"].get("seen_events")
    report: dict[str, Any] = {"checkpoint": str(pretrained["path"])}
    if seen is None:
        report["test_events_seen"] = None
        say(f"{pretrained['path']} does not say which events it has seen; it may have seen those of the test part.")
        return report
    tested = data.tested
    shared = overlap(seen.numpy(), tested.ready_store.metadata, tested.split.test)
    report["test_events_seen"] = shared
    say(f"The pretrained encoder has seen {shared['seen']} of the {shared['events']} test events, without labels.")
    return report


def say_unlearned(stuck: Mapping[str, tuple[float, float]]) -> None:
    """Warn of training losses that ended no lower than those of an answer that ignores its input."""
    for name, (loss, constant) in stuck.items():
        say(
            f"Warning: the training did not learn: {name} ended at {loss:.3g}, and an answer that ignores its input "
            f"gives {constant:.3g}; try another exp_params.LR, more epochs, or look at the data and their labels"
        )


def say_remarks(remarks: Sequence[str]) -> None:
    """Warn of what the test part shows."""
    for remark in remarks:
        say(f"Warning: {remark}")


def say_scores(metrics: Mapping[str, Any], task: Task) -> None:
    """Say how good the model is on the test part, with intervals, beside records it has seen and a constant answer.

    Args:
        metrics: What ``metrics.json`` holds.
        task: Names the metrics worth a row.
    """
    rows = [
        {
            "": words,
            "test": with_interval(metrics[f"test/{name}"], metrics.get(f"test/{name}_interval")),
            "training events": metrics.get(f"trained/{name}"),
            "constant answer": metrics.get(f"test/constant_{name}"),
        }
        for name, words in task.reported.items()
        if f"test/{name}" in metrics
    ]
    if rows:
        n, events = metrics["test/n"], metrics["test/n_events"]
        title = f"Test: {n} predictions for {events} events; in brackets 95 % intervals, which resample events"
        say(f"\n{text_table(rows, title)}")
    if "test/decision" in metrics:
        found = metrics["test/decision"]
        shown = {name: with_interval(found[name], found[f"{name}_interval"]) for name in ("precision", "recall", "f1")}
        say(
            f"\nThreshold {Decision(**metrics['decision'])}: on the test part precision "
            f"{shown['precision']}, recall {shown['recall']}, F1 {shown['f1']}"
        )
    details = task.details(metrics)
    if details:
        more = f"\n... and {len(details) - MOST_ROWS} more in metrics.json" if len(details) > MOST_ROWS else ""
        say(f"\n{text_table(details[:MOST_ROWS])}{more}")


def say_results(
    folder: Path,
    metrics: Mapping[str, Any],
    headline: Sequence[str],
    checkpoint: Path,
    encoder: Path | None,
    figures: Path | None,
) -> None:
    """Say the results in a line and where everything is.

    Args:
        folder: The run's folder.
        metrics: What ``metrics.json`` holds.
        headline: Names of the metrics worth a place in the line; those that are not there are left out.
        checkpoint: The model to use.
        encoder: What ``load_encoder.ckpt_fname`` takes; None where there is no such thing.
        figures: Their folder; None where none were drawn.
    """
    say()
    say(text_table([{name: metrics[name] for name in (*headline, "train/loss") if name in metrics}]))
    say(f"metrics     {folder / 'metrics.json'}")
    if figures is not None:
        say(f"figures     {figures}")
    say(f"checkpoint  {checkpoint}")
    if encoder is not None:
        say(f"encoder     load_encoder.ckpt_fname={encoder}")
