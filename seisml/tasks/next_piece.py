"""Pretraining on the order of pieces: of the other pieces of a window, which one comes next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seisml.evaluation import figures
from seisml.evaluation.next_piece import foresight_chance, foresight_hits, next_piece_hits, next_piece_metrics
from seisml.tasks.base import Labels, LabelSettings, Predictions, Task
from seisml.tasks.regression import Regression

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.facts import DataFacts


@dataclass(frozen=True)
class NextPiece(Task):
    """Outputs are log-probabilities of pieces 2 to K, one row for each context; labels are the right one, from 0.

    Every record says by itself what comes next, so all of them are split, with labels or without. Numbers in the label
    column, NaN where there is none, are handed out for those who learn them beside it.
    """

    gives: ClassVar[str] = "the next piece of a window"
    headline: ClassVar[tuple[str, ...]] = (
        "test/next_piece_acc", "test/foresight_acc", "dev/next_piece_acc", "train/next_piece_acc",
        "train/next_piece_acc_chance", "train/foresight_acc", "train/foresight_acc_chance",
    )  # fmt: skip

    # -- data ------------------------------------------------------------------------------------------------------
    def read(self, metadata: pd.DataFrame, settings: LabelSettings, place: str) -> Labels:
        """Numbers of the label column, where it holds such; all records count as labelled."""
        column = settings.column
        values = np.full(len(metadata), np.nan, np.float32)
        if column in metadata and pd.api.types.is_numeric_dtype(metadata[column]):
            values = Regression().read(metadata, settings, place).values
        return Labels(values, np.ones(len(metadata), bool))

    def strata(self, labels: Labels, groups: np.ndarray, unlabeled: str) -> np.ndarray:
        """One for all."""
        return np.full(len(labels.values), "record", dtype=object)

    def facts(self, labels: Labels, train: np.ndarray, settings: LabelSettings) -> dict[str, Any]:
        """Statistics of the numbers, where there are some."""
        known = train[np.isfinite(labels.values[train])]
        return Regression().facts(labels, known, settings) if len(known) else {"classes": ()}

    def describe(self, facts: DataFacts) -> str:
        """The number of pieces."""
        return f"windows of {facts.n_pieces} pieces"

    # -- training --------------------------------------------------------------------------------------------------
    def n_outputs(self, facts: DataFacts) -> int:
        """One for each piece but the first."""
        return facts.n_pieces - 1

    def loss_target(self, label: Tensor, facts: DataFacts) -> Tensor:
        """The right piece's number."""
        return label

    def predicted(self, output: Tensor, facts: DataFacts) -> Tensor:
        """The most likely piece, (N,)."""
        return output.argmax(-1)

    def batch_metrics(self, output: Tensor, label: Tensor, facts: DataFacts) -> dict[str, Tensor]:
        """Accuracy among all pieces and among those still to come, with chance beside each."""
        foreseen, asked = foresight_hits(output, label)
        accuracy = next_piece_hits(output, label).float().mean()
        return {
            "next_piece_acc": accuracy,
            "next_piece_acc_chance": torch.full_like(accuracy, 1 / (facts.n_pieces - 1)),
            "foresight_acc": foreseen[asked].float().mean(),
            "foresight_acc_chance": torch.full_like(accuracy, foresight_chance(facts.n_pieces)),
        }

    # -- evaluation ------------------------------------------------------------------------------------------------
    def metrics(self, predictions: Predictions, facts: DataFacts) -> dict[str, Any]:
        """Accuracies and their chance; see :func:`seisml.evaluation.next_piece.next_piece_metrics`."""
        start = predictions.start.numpy().astype(str)
        window = np.char.add(np.char.add(predictions.event.astype(str), ":"), start)
        return next_piece_metrics(predictions.output, predictions.label, window)

    def table(self, predictions: Predictions, facts: DataFacts) -> pd.DataFrame:
        """``next`` and ``picked``, numbers of pieces in their window from 1, and the ``probability_`` of both."""
        picked = self.predicted(predictions.output, facts)
        probability = predictions.output.exp()
        row = torch.arange(len(picked))
        columns = {"next": predictions.label + 2, "picked": picked + 2}
        columns |= {
            "probability_next": probability[row, predictions.label],
            "probability_picked": probability[row, picked],
        }
        return pd.DataFrame({name: column.numpy() for name, column in columns.items()})

    def constant_output(self, label: Tensor, facts: DataFacts) -> Tensor | None:
        """None: chance is known, and stands among the metrics."""
        return None

    def remarks(self, scores: Mapping[str, Any], facts: DataFacts) -> list[str]:
        """Accuracy that is that of chance, or of memory alone."""
        said = {
            "next_piece_acc": "the next piece is picked no better than by chance",
            "foresight_acc": "among the pieces still to come the next one is picked no better than by chance",
        }
        for name, words in said.items():
            accuracy, (low, high), chance = (scores[name + ending] for ending in ("", "_interval", "_chance"))
            if low <= chance:
                return [f"{words}: {name} {accuracy:.3f} ({low:.3f} to {high:.3f}), by chance {chance:.3f}"]
        return []

    def figures(self, predictions: Predictions, method: Method, data: StoreDataModule) -> dict[str, Figure]:
        """What is picked for which piece."""
        matrix = self.metrics(predictions, data.facts)["confusion_matrix"]
        names = [f"piece {number}" for number in range(2, data.facts.n_pieces + 1)]
        return {"next_piece": figures.confusion_matrix(matrix, names)}
