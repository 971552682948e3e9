"""The end of a run whose loss or weights are not finite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from seisml.errors import UserError, shown
from seisml.files import write_table
from seisml.processes.collectives import gather
from seisml.store.identity import record_ids

if TYPE_CHECKING:
    from seisml.data.sampling import Batch
    from seisml.methods.base import Method


class FiniteLoss(Callback):
    """Stops a run at the first loss that is not finite, or at weights that are not: what follows is worth nothing.

    Args:
        folder: Where the batch's samples are written down.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "not_finite.csv"
        self._batch: Batch = {}

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Method, batch: Batch, batch_idx: int) -> None:
        """Keep what tells the samples of the batch."""
        self._batch = {name: batch[name] for name in ("index", "start", "epoch") if name in batch}

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Method, loss: Tensor) -> None:
        """Look at the loss before its gradient reaches the weights.

        Raises:
            UserError: Names the step and records of the batch; all its samples stand in a file.
        """
        if torch.isfinite(loss).all():
            return
        # every process has the loss of the whole batch, so that all get here at once
        values = {name: gather(value).cpu().numpy() for name, value in self._batch.items()}
        names = [str(name).strip("|") for name in record_ids(trainer.datamodule.ready_store.metadata)[values["index"]]]
        if trainer.is_global_zero:
            steps = [trainer.global_step] * len(names)
            write_table(self.path, ("record", *values, "step"), zip(names, *values.values(), steps, strict=True))
        unique = sorted(set(names))
        some = ", ".join(unique[:3]) + (", ..." if len(unique) > 3 else "")
        raise UserError(
            f"the loss is {loss.item():g} at step {trainer.global_step} (epoch {trainer.current_epoch}, batch of "
            f"{some}); lower exp_params.LR ({pl_module.LR}) or look at these records, which {shown(self.path)} lists"
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Look at what the last step made of the weights, as no loss follows it.

        Raises:
            UserError: A weight is not finite.
        """
        wrong = next((name for name, value in pl_module.named_parameters() if not torch.isfinite(value).all()), None)
        if wrong is not None:
            raise UserError(
                f"{wrong} is not finite after the last step; lower exp_params.LR ({pl_module.LR}), or set "
                "trainer_params.precision=32-true"
            )
