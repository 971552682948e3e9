"""The seam between data sets, recipes and evaluation: what a label is.

A recipe names its task (:attr:`seisml.methods.base.Method.task`), the training run hands it to the data module, and
everything that depends on the kind of label asks the task. Nobody looks at which methods an object happens to have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from matplotlib.figure import Figure

    from seisml.data.datamodule import StoreDataModule
    from seisml.evaluation.decision import Decision
    from seisml.methods.base import Method
    from seisml.tasks.facts import DataFacts


Part = Literal["train", "dev", "test"]
Elsewhere = Literal["labelled", "all"]  # what a trained model is asked of other data: records with a label, or all


@dataclass(frozen=True)
class LabelSettings:
    """What the user says about the labels of a data set; a task reads what concerns it.

    Attributes:
        column: Column of the metadata that holds them.
        unlabeled: Class name that means "no label".
        classes: Class names in the order of the labels; None for those found, alphabetically.
        zero_weight_classes: Classes that training gives weight 0.
        unit: Unit of a number; None for the one that the column's name ends in.
        elsewhere: Set for data that a model was not trained on: classes that it does not know count as unlabelled.
    """

    column: str = "trace_category"
    unlabeled: str = "Unlabeled"
    classes: tuple[str, ...] | None = None
    zero_weight_classes: tuple[str, ...] = ()
    unit: str | None = None
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True)
class Labels:
    """The labels of a data set's rows.

    Attributes:
        values: (N,), of the task's dtype.
        known: (N,) bool, false where a row has no label.
        classes: Class names in the order of the labels; empty for numbers.
    """

    values: np.ndarray
    known: np.ndarray
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Monitor:
    """The value by which the dev part chooses the model, and whether a small or a large one is good."""

    name: str
    mode: Literal["min", "max"]


@dataclass(frozen=True)
class Predictions:
    """What a method says about some rows.

    Attributes:
        output: (N, n_outputs) as the method gives them; :meth:`Task.predicted` turns them into answers.
        label: (N,) true labels.
        row: (N,) rows of the store.
        start: (N,) first sample of each window in its record.
        event: (N,) names of the events that they belong to; see StoreDataModule.event_names.
        embedding: (N, D).
        made_by: What made them.
    """

    output: Tensor
    label: Tensor
    row: Tensor
    start: Tensor
    event: np.ndarray
    embedding: Tensor
    made_by: str = "the method's"


class Task(ABC):
    """What a label is, and what follows from it for splits, networks, metrics and figures.

    Tasks are small frozen values. A recipe's class names one, which reads the data; a recipe with further settings
    (a noise class, a number of bins) may name a finer one of the same kind in its constructor.

    Attributes:
        gives: What a method of this task answers with, for messages.
        monitor: What chooses the model on the dev part; None where nothing does.
        headline: Metrics worth a place in the line that closes a run, the best first.
        compared: Metrics (without ``test/``) that the constant predictor is scored by too, and the final model on
            training records.
        reported: Metrics (without ``test/``) of the closing table, and what they are called there.
    """

    gives: ClassVar[str]
    monitor: ClassVar[Monitor | None] = None
    headline: ClassVar[tuple[str, ...]] = ()
    compared: ClassVar[tuple[str, ...]] = ()
    reported: ClassVar[Mapping[str, str]] = {}

    # -- data ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def read(self, metadata: pd.DataFrame, settings: LabelSettings, place: str) -> Labels:
        """Read the labels of a store's rows.

        Args:
            metadata: One row per record.
            settings: What the user says about the labels.
            place: The store, for messages.

        Raises:
            UserError: Where the column is missing or holds something else.
        """

    @abstractmethod
    def strata(self, labels: Labels, groups: np.ndarray, unlabeled: str) -> np.ndarray:
        """Name the stratum of each row, so that the parts of a split resemble each other.

        Args:
            labels: What :meth:`read` gave.
            groups: (N,) what stays together in one part.
            unlabeled: The name for rows without a label.

        Returns:
            (N,) strings.
        """

    @abstractmethod
    def facts(self, labels: Labels, train: np.ndarray, settings: LabelSettings) -> dict[str, Any]:
        """Gather what the model needs to know of the labels: arguments of :class:`DataFacts`.

        Args:
            labels: What :meth:`read` gave.
            train: Rows of the training part; statistics come from these alone.
            settings: What the user says about the labels.
        """

    @abstractmethod
    def describe(self, facts: DataFacts) -> str:
        """Say in a few words what is to be told: "8 classes"."""

    # -- training --------------------------------------------------------------------------------------------------
    @abstractmethod
    def n_outputs(self, facts: DataFacts) -> int:
        """Numbers that a network answers with."""

    @abstractmethod
    def loss_target(self, label: Tensor, facts: DataFacts) -> Tensor:
        """Turn labels (B,) into what the loss compares the outputs with, (B,)."""

    @abstractmethod
    def predicted(self, output: Tensor, facts: DataFacts) -> Tensor:
        """Turn outputs (N, n_outputs) into answers (N,), comparable with the labels."""

    @abstractmethod
    def batch_metrics(self, output: Tensor, label: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """Cheap metrics of a batch, logged beside the loss in training and on the dev part."""

    # -- evaluation ------------------------------------------------------------------------------------------------
    def predict(
        self, trainer: pl.Trainer, method: Method, data: StoreDataModule, part: Part = "test"
    ) -> Predictions | None:
        """Predict a part of the data with the method, as in testing.

        Args:
            trainer: Runs the method.
            method: The trained method.
            data: Its data module.
            part: ``test``, ``dev``, or ``train``: of this no more windows than the test part has, drawn at random.

        Returns:
            The predictions; ``None`` where the part is empty.
        """
        loader = data.loader_of(part)
        if loader is None:
            return None
        batches = trainer.predict(method, loader)
        joined = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}
        tested = data.tested if part == "test" else data
        event = tested.event_names(joined["index"].numpy(), joined["start"].numpy())
        return Predictions(
            joined["output"], joined["label"], joined["index"], joined["start"], event, joined["embedding"]
        )

    @abstractmethod
    def metrics(self, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Score predictions: plain values, with intervals."""

    def decide(self, predictions: Predictions, facts: DataFacts) -> Decision | None:
        """Choose a threshold on predictions of the dev part; None where the task has none to choose."""
        return None

    def decided(self, decision: Decision, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Score the test part's predictions at a threshold that :meth:`decide` chose elsewhere."""
        return {}

    @abstractmethod
    def table(self, predictions: Predictions, facts: DataFacts) -> pd.DataFrame:
        """Lay out what is predicted of each window beside what is true: columns of ``predictions.csv``, (N rows)."""

    @abstractmethod
    def constant_output(self, label: Tensor, facts: DataFacts) -> Tensor | None:
        """The one output (n_outputs,) that scores best on training labels (N,) whatever the input; None without any."""

    def compare(self, predictions: Predictions, train_label: Tensor, facts: DataFacts) -> dict[str, Any]:
        """Score predictions, and beside them (``constant_...``) the answer that ignores its input.

        Args:
            predictions: Of the test part.
            train_label: (N,) labels of the training part.
            facts: The data's facts.
        """
        metrics = self.metrics(predictions, facts)
        constant = self.constant_output(train_label, facts)
        if constant is not None:
            n = len(predictions.label)
            blind = replace(predictions, output=constant.expand(n, -1))
            scores = self.metrics(blind, facts)
            metrics |= {f"constant_{name}": scores[name] for name in self.compared}
        return metrics

    def remarks(self, scores: Mapping[str, Any], facts: DataFacts) -> list[str]:
        """What :meth:`compare` shows that nobody should overlook, a line each."""
        return []

    def details(self, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a second closing table (what :meth:`metrics` gave, with ``test/`` in front); none by default."""
        return []

    @abstractmethod
    def figures(self, predictions: Predictions, method: Method, data: StoreDataModule) -> dict[str, Figure]:
        """Draw predictions, by file name."""
