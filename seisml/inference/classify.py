"""Recordings of events, or a store -> classes, and how right they are where labels exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.evaluation import figures
from seisml.evaluation.decision import Decision
from seisml.files import naming_disk_errors, write_table
from seisml.inference.devices import check_device
from seisml.inference.trained import load_classifier, network_preprocessing
from seisml.methods.classifier import Classifier
from seisml.prepare.event_files import list_events
from seisml.prepare.files import PrepareOptions, prepare_files
from seisml.run.folder import make_folder
from seisml.run.messages import say_scores
from seisml.run.predictions import places_of, write_predictions
from seisml.run.record import write_metrics
from seisml.store.identity import overlap
from seisml.store.store import Store
from seisml.tasks import pictures
from seisml.tasks.base import Predictions
from seisml.tasks.unlabelled import Unlabelled
from seisml.terminal.progress import follow
from seisml.values.file_names import PREDICTIONS_FILE
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.traces import Bounds

RECORDS = "records"  # a store of the files that are given; it is removed at the end unless it is asked for


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of :func:`classify`; see ``seisml classify --help``."""

    labels: Path | None = None
    event: str | None = None
    embedding: bool = False
    components: str | None = None
    batch_size: int = 64
    device: str = "cpu"
    workers: int = 1
    plots: bool = True
    keep_records: bool = False
    trust: tuple[str, ...] = ()
    progress: bool = False
    largest_record: float = Bounds.largest_record


def classify(
    checkpoint: str | Path,
    sources: Sequence[str | Path],
    out: str | Path,
    options: ClassifyOptions = ClassifyOptions(),  # noqa: B008 (frozen)
) -> dict[str, Any]:
    """Name the class of each event recording, and score the answers where labels are known.

    Args:
        checkpoint: A run's checkpoint, or the folder that ``seisml export`` wrote.
        sources: One store; or waveform files and folders of them.
        out: Output folder: ``predictions.csv``, ``skipped.csv``, ``figures/`` and, where labels exist,
            ``metrics.json``.
        options: See there.

    Returns:
        ``predictions``, ``metrics`` (empty without labels), ``skipped`` ((file, reason) each).

    Raises:
        UserError: Bad input: the checkpoint, a path, an option, data that do not fit the model; or no file is usable.
    """
    out = Path(out)
    check_device(options.device)
    method = load_classifier(checkpoint, options.trust).to(options.device)
    make_folder(out)
    store = _store_among(sources)
    with naming_disk_errors(out), TemporaryDirectory(prefix=".records-", dir=out) as folder:
        if store is None:
            place = out / RECORDS if options.keep_records else Path(folder) / RECORDS
            skipped = _read_files(method, checkpoint, list(map(Path, sources)), (out, place), options)
            data = _open(method, place, options, name=None if options.keep_records else "the recordings")
        else:
            skipped = []
            data = _open(method, store, options, network_preprocessing(method, checkpoint, options.components))
        predictions = predict_all(method, data, options.progress)
        metrics = _score(method, data, predictions)
        answers = method.task.table(predictions, data.facts)
        if options.embedding:
            answers = pd.concat([answers, _embedding(predictions)], axis=1)
        write_predictions(out / PREDICTIONS_FILE, places_of(predictions, data), answers)
        write_table(out / "skipped.csv", ("file", "reason"), skipped)
        if metrics:
            write_metrics(out, metrics)
        if options.plots:
            _draw(out / "figures", method, data, predictions, labelled=bool(metrics))
    return {"predictions": predictions, "metrics": metrics, "skipped": skipped}


@torch.inference_mode()
def predict_all(method: Classifier, data: StoreDataModule, progress: bool = False) -> Predictions:
    """Predict the test part of a data module in batches, as a training run tests."""
    loader = data.loader_of("test")
    if loader is None:
        raise UserError(f"{data.root}: nothing to classify; give a store with records as long as the model's windows")
    parts = []
    for batch in follow(loader, "classifying", "batch", shown=progress):
        batch = {name: value.to(method.device) for name, value in batch.items()}
        parts.append({name: value.cpu() for name, value in method.predict_step(batch, 0).items()})
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    event = data.event_names(joined["index"].numpy(), joined["start"].numpy())
    return Predictions(joined["output"], joined["label"], joined["index"], joined["start"], event, joined["embedding"])


def _store_among(sources: Sequence[str | Path]) -> Path | None:
    """The store that is given, where one is; it is classified alone."""
    stores = [Path(source) for source in sources if (Path(source) / "metadata.csv").is_file()]
    if stores and len(sources) > 1:
        raise UserError(f"{stores[0]} is a store, and so is classified alone; leave the other paths out")
    return stores[0] if stores else None


def _read_files(
    method: Classifier,
    checkpoint: str | Path,
    sources: Sequence[Path],
    places: tuple[Path, Path],
    options: ClassifyOptions,
) -> list[tuple[str, str]]:
    """Make a store of files, as the network takes them, each read in a guarded process; returns what is left out.

    ``places`` are the output folder, which is not looked through, and the store's.
    """
    out, place = places
    steps = network_preprocessing(method, checkpoint, options.components)
    if not steps.known:
        print("the checkpoint does not say how its data were preprocessed: files are only resampled and cut")
    listing = list_events(sources, out, method.facts.classes, options.labels, options.event)
    how = PrepareOptions(
        place, overwrite=True, workers=options.workers, bounds=Bounds(largest_record=options.largest_record),
        stays=options.keep_records,
    )  # fmt: skip
    steps = replace(steps, unit=steps.unit or "unknown")  # a store names one
    prepare_files(listing, how, steps, {"command": "classify"})
    return [(entry["file"], entry["reason"]) for entry in Store(place).prepared["skipped"]]


def _open(
    method: Classifier,
    root: Path,
    options: ClassifyOptions,
    trained: Preprocessing | None = None,
    name: str | None = None,
) -> StoreDataModule:
    """Open a store for a trained model, every record of it; see :meth:`seisml.data.prepared.PreparedRecords.at`."""
    data = StoreDataModule(str(root), batch_size=options.batch_size, in_channels=method.in_channels)
    data.task = Unlabelled()  # reads labels where there are some
    data = data.at(root, method.facts, "all", trained, name)
    seen = method.run_record.get("seen_events")
    if seen is not None:
        shared = overlap(seen.numpy(), data.ready_store.metadata, data.split.test)
        if shared["seen"]:
            print(f"The model has seen {shared['seen']} of these {shared['events']} events, by their names.")
    return data


def _score(method: Classifier, data: StoreDataModule, predictions: Predictions) -> dict[str, Any]:
    """Metrics as of a run's test part, where something is labelled; says them."""
    if not (predictions.label >= 0).any():
        return {}
    metrics = {f"test/{name}": value for name, value in method.task.metrics(predictions, data.facts).items()}
    decision = Decision.from_record(method.run_record)
    if decision is not None:
        metrics["decision"] = decision.to_dict()
        metrics["test/decision"] = method.task.decided(decision, predictions, data.facts)
    say_scores(metrics, method.task)
    return metrics


def _embedding(predictions: Predictions) -> pd.DataFrame:
    values = predictions.embedding.numpy()
    return pd.DataFrame(values, columns=[f"embedding_{number}" for number in range(values.shape[1])])


def _draw(folder: Path, method: Classifier, data: StoreDataModule, predictions: Predictions, labelled: bool) -> None:
    """Draw what a run draws of its test part; without labels the gallery alone."""
    if labelled:
        made = method.task.figures(predictions, method, data)
    else:
        predicted = method.task.predicted(predictions.output, data.facts)
        made = {"gallery": pictures.gallery(predictions, predicted, method, data)}
    for name, figure in made.items():
        figures.save(figure, folder / f"{name}.png")
