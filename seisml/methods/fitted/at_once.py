"""What the recipes without gradients share: one look at all training windows, and a fit to what it gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seisml.data.sampling import Batch
from seisml.methods.predictor import Predictor


class FittedAtOnce(Predictor):
    """A recipe without gradients: its encoder describes all training windows, and something is fitted to that.

    A subclass fits in ``on_train_start``; the epoch that follows measures.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.automatic_optimization = False

    def configure_optimizers(self) -> None:  # type: ignore[override]
        """None: nothing here has a gradient."""

    @torch.no_grad()
    def training_features(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features (N, D), labels (N,) and rows of the store (N,) of all traces of the labelled training events."""
        data = self.trainer.datamodule
        self.eval()
        x, label, row = [], [], []
        for batch in data.evaluation_loader(data.labelled(data.split.train), single=False):
            batch = {name: value.to(self.device) for name, value in batch.items()}
            features, mask = self.encode_traces(batch)
            x.append(features[mask].cpu().numpy())
            label.append(batch["label"][:, None].expand_as(mask)[mask].cpu().numpy())
            row.append(batch["index"][:, None].expand_as(mask)[mask].cpu().numpy())
        return np.concatenate(x), np.concatenate(label), np.concatenate(row)

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """Measure loss and metrics on the training events."""
        super().training_step(batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        """Stop: another epoch would measure the same again."""
        self.trainer.should_stop = True
