"""Classes: one of several names for each record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.evaluation import figures
from seisml.evaluation.decision import Decision, average_precisions, choose, find_noise, scores_at
from seisml.evaluation.detection import detection_and_location
from seisml.evaluation.metrics import classification_metrics, confusion_counts
from seisml.evaluation.names import CLASSIFICATION
from seisml.tasks import pictures
from seisml.tasks.base import Labels, LabelSettings, Monitor, Predictions, Task
from seisml.terminal.text_table import with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.facts import DataFacts

NO_CLASS = -1  # the label of a record without one
MAP_SIZE = 1000  # points of the embedding map; t-SNE of more takes many seconds


@dataclass(frozen=True)
class Classification(Task):
    """Outputs are log-probabilities of the classes, labels their numbers (int64), -1 where there is none.

    Attributes:
        noise_class: Class that means "no event", where detection and location are to be scored too.
    """

    noise_class: str | None = None

    gives: ClassVar[str] = "class probabilities"
    monitor: ClassVar[Monitor | None] = Monitor("dev/loss", "min")
    headline: ClassVar[tuple[str, ...]] = (
        "test/acc", "test/f1_macro", "test/constant_acc", "test/detection_acc", "test/location_acc", "dev/acc",
        "train/acc",
    )  # fmt: skip
    compared: ClassVar[tuple[str, ...]] = ("acc", "balanced_acc", "f1_macro")
    reported: ClassVar[Mapping[str, str]] = CLASSIFICATION
    needs_labels: ClassVar[bool] = True

    # -- data ------------------------------------------------------------------------------------------------------
    def read(self, metadata: pd.DataFrame, settings: LabelSettings, place: str) -> Labels:
        """Number the classes of the column; the metadata's ``trace_category`` becomes what it says."""
        column, unlabeled = settings.column, settings.unlabeled
        if column not in metadata:
            if self.needs_labels and settings.elsewhere != "all":
                raise UserError(
                    f"{place}/metadata.csv has no column {column!r}; name the column that holds the "
                    f"class: dataset.label_column=... (columns: {', '.join(metadata.columns)})"
                )
            metadata["trace_category"] = unlabeled
        else:
            metadata["trace_category"] = metadata[column].fillna(unlabeled).astype(str)
        names = metadata["trace_category"]
        labelled = names != unlabeled
        classes = tuple(settings.classes or sorted(names[labelled].unique()))
        if not classes and self.needs_labels:
            raise UserError(f"{place}: no record carries a label; only pretraining (sslearn.py) can use it")
        code = {name: number for number, name in enumerate(classes)}
        values = names.map(code).fillna(NO_CLASS).to_numpy(np.int64)
        unknown = set(names[labelled & (values < 0)])
        if unknown and settings.elsewhere is None:
            raise UserError(f"dataset.classes lacks {', '.join(sorted(unknown))}, which {place} has; add it")
        return Labels(values, values != NO_CLASS, classes)

    def strata(self, labels: Labels, groups: np.ndarray, unlabeled: str) -> np.ndarray:
        """The class names."""
        return np.array([*labels.classes, unlabeled], dtype=object)[labels.values]

    def facts(self, labels: Labels, train: np.ndarray, settings: LabelSettings) -> dict[str, Any]:
        """Class names, and balanced weights n / (k n_c) over all labelled records.

        Classes come from the data set, not from the part at hand. Those of weight 0 are left out of n and k.
        """
        counts = np.bincount(labels.values[labels.known], minlength=len(labels.classes)).astype(float)
        counts[[name in settings.zero_weight_classes for name in labels.classes]] = 0
        learnt = counts > 0
        weights = np.zeros(len(labels.classes))
        weights[learnt] = counts.sum() / (learnt.sum() * counts[learnt])
        return {"classes": labels.classes, "class_weights": tuple(weights.tolist())}

    def describe(self, facts: DataFacts) -> str:
        """The number of classes."""
        return f"{len(facts.classes)} classes"

    # -- training --------------------------------------------------------------------------------------------------
    def n_outputs(self, facts: DataFacts) -> int:
        """One for each class."""
        return len(facts.classes)

    def loss_target(self, label: Tensor, facts: DataFacts) -> Tensor:
        """The class numbers."""
        return label

    def predicted(self, output: Tensor, facts: DataFacts) -> Tensor:
        """The most likely class, (N,)."""
        return output.argmax(-1)

    def batch_metrics(self, output: Tensor, label: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """``acc``."""
        return {"acc": (output.argmax(-1) == label).float().mean()}

    # -- evaluation ------------------------------------------------------------------------------------------------
    def metrics(self, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Accuracy, F1, precision and recall; detection and location too where a class means noise."""
        values = classification_metrics(predictions.output, predictions.label, facts.classes, predictions.event)
        values["average_precision"] = average_precisions(predictions.output.exp(), predictions.label, facts.classes)
        if self.noise_class is not None:
            predicted = self.predicted(predictions.output, facts)
            values |= detection_and_location(predicted, predictions.label, facts.classes, self.noise_class)
        return values

    def decide(self, predictions: Predictions, facts: DataFacts) -> Decision | None:
        """A threshold on the probability of an event, where one of the classes means noise."""
        noise = find_noise(facts.classes, self.noise_class)
        return None if noise is None else choose(predictions.output, predictions.label, facts.classes, noise)

    def decided(self, decision: Decision, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Precision, recall and F1 of events at the threshold."""
        return scores_at(decision, predictions.output, predictions.label, facts.classes, predictions.event)

    def table(self, predictions: Predictions, facts: DataFacts) -> pd.DataFrame:
        """``true`` (empty where there is no label), ``predicted``, and the probability of each class."""
        names = np.array([*facts.classes, ""], dtype=object)  # the label -1 takes the last
        predicted = self.predicted(predictions.output, facts).numpy()
        probability = predictions.output.exp().numpy()
        columns = {f"probability_{name}": probability[:, k] for k, name in enumerate(facts.classes)}
        return pd.DataFrame({"true": names[predictions.label.numpy()], "predicted": names[predicted], **columns})

    def constant_output(self, label: Tensor, facts: DataFacts) -> Tensor | None:
        """Logarithm of the classes' shares: its largest is the most common class."""
        count = torch.bincount(label[label != NO_CLASS], minlength=len(facts.classes)).float()
        return (count / count.sum()).log() if count.sum() > 0 else None

    def details(self, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Precision, recall and F1 of each class, with their intervals."""
        return [
            {
                "class": name,
                "records": values["support"],
                **{
                    words: with_interval(values[of], values[f"{of}_interval"])
                    for of, words in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
                },
            }
            for name, values in metrics.get("test/per_class", {}).items()
        ]

    def figures(self, predictions: Predictions, method: Method, data: StoreDataModule) -> dict[str, Figure]:
        """Confusion matrix, map of the embeddings, calibration, precision and recall, and galleries of events."""
        classes, label = data.facts.classes, predictions.label
        predicted = self.predicted(predictions.output, data.facts)
        matrix = confusion_counts(label.numpy(), predicted.numpy(), len(classes))
        title = f"Embeddings of the {len(label)} test samples"
        decision = Decision.from_record(method.run_record)
        made = {
            "confusion_matrix": figures.confusion_matrix(matrix, classes),
            "embedding_map": figures.embedding_map(
                predictions.embedding.numpy(), label.numpy(), classes, title, MAP_SIZE
            ),
            "gallery": pictures.gallery(predictions, predicted, method, data),
            "calibration": figures.calibration_curve(predictions.output.exp(), label),
            "precision_recall": figures.precision_recall(predictions.output, label, classes, decision),
        }
        if pictures.wrong(label.numpy(), predicted.numpy()):
            made["false_predictions"] = pictures.false_predictions(predictions, predicted, method, data)
        return made
