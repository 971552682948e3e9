"""Callbacks of the training recipes: the nearest-neighbour probe and the saving of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from seisml.data.identity import event_ids
from seisml.evaluation.embedding import embed_rows
from seisml.evaluation.probes import knn_accuracy
from seisml.run.checkpoints import save_encoder

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method


def probe_rows(data: StoreDataModule, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit a probe on, and others, of other events, to score it on; the test part stays out of sight.

    Args:
        data: The data module.
        seed: Seed of the choice.
        share: Share of the training events that score, where there is no dev part.

    Returns:
        Rows to fit on and rows to score on; the latter are the dev part where there is one.
    """
    rows = data.labelled(data.split.train)
    if len(data.split.dev):
        return rows, data.labelled(data.split.dev)
    events = event_ids(data.ready_store.metadata)[rows]
    names = np.unique(events)
    chosen = np.random.default_rng([seed, 5]).permutation(names)[: max(1, round(share * len(names)))]
    scored = np.isin(events, chosen)
    return rows[~scored], rows[scored]


class KNNProbe(Callback):
    """Accuracy of a 5-nearest-neighbour classifier on the encoder's outputs, while pretraining.

    Fitted on embeddings of one part of the labelled training events and scored on the dev part, or on other training
    events where there is none. Unlabelled events are left out.

    Args:
        period: Score every so many epochs.
    """

    def __init__(self, period: int) -> None:
        self.period = period

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Fit, score and log ``probe/knn_acc``."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        if (trainer.current_epoch + 1) % self.period and not last:
            return
        data = trainer.datamodule
        fit, score = probe_rows(data, pl_module.seed)
        if not len(fit) or not len(score):
            return
        accuracy = knn_accuracy(*embed_rows(pl_module, data, fit), *embed_rows(pl_module, data, score))
        pl_module.log("probe/knn_acc", accuracy, prog_bar=True)


class SaveEncoder(Callback):
    """Save the encoder every so many epochs, and after the last one.

    Args:
        folder: Where the files go.
        run: Name of the run; each file's name carries it.
        period: Epochs between two files.
    """

    def __init__(self, folder: Path, run: str, period: int) -> None:
        self.folder, self.run, self.period = folder, run, period
        self.saved: Path | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Write the file where this epoch is one of the chosen."""
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch % self.period == 0 or epoch == trainer.max_epochs):
            self.saved = self.folder / f"{pl_module.name}-{self.run}-ep{epoch}.ckpt"
            save_encoder(pl_module, self.saved, epoch)
