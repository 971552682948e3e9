"""Pretraining: labels train nothing, but where there are classes they tell what the encoder is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from seisml.evaluation.embedding import embed_rows
from seisml.evaluation.probes import knn_votes
from seisml.store.identity import event_ids
from seisml.tasks.base import Monitor, Part, Predictions
from seisml.tasks.classification import Classification

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method
    from seisml.tasks.facts import DataFacts


@dataclass(frozen=True)
class Unlabelled(Classification):
    """No label is needed. The test part is predicted by a vote of the nearest neighbours among training embeddings.

    Nothing is monitored: the losses of pretraining say little about the encoder, and choosing an epoch by the probe
    would be choosing it by labels.
    """

    gives: ClassVar[str] = "embeddings"
    monitor: ClassVar[Monitor | None] = None
    headline: ClassVar[tuple[str, ...]] = (
        "test/acc", "test/f1_macro", "test/constant_acc", "probe/knn_acc",
    )  # fmt: skip
    needs_labels: ClassVar[bool] = False

    def describe(self, facts: DataFacts) -> str:
        """The number of classes, and what a single one means."""
        if len(facts.classes) != 1:
            return super().describe(facts)
        return f"1 class ({facts.classes[0]}), so that no probe or test can tell classes apart"

    def predict(
        self, trainer: pl.Trainer, method: Method, data: StoreDataModule, part: Part = "test"
    ) -> Predictions | None:
        """Let the 5 nearest neighbours of one trace's embedding vote, fitted on the training part; test part only.

        With one class alone nothing is predicted: any vote would be right.
        """
        train = data.labelled(data.split.train)
        tested = data.tested
        if part != "test" or not len(tested.split.test) or not len(train) or len(data.facts.classes) < 2:
            return None
        known, asked = embed_rows(method, data, train), embed_rows(method, tested, tested.split.test)
        votes = knn_votes(known.features, known.label, asked.features, len(data.facts.classes))
        share = (votes.float() + 1e-3) / (votes + 1e-3).sum(-1, keepdim=True)
        event = event_ids(tested.ready_store.metadata)[asked.row.numpy()]
        made_by = "5 nearest neighbours of one trace's embedding"
        return Predictions(share.log(), asked.label, asked.row, asked.start, event, asked.features, made_by)
