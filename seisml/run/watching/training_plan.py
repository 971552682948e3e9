"""What training comes to: the values that count, whatever file or default they are from."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from seisml.run.messages import say


class SayPlan(Callback):
    """Says in a line how many steps training takes, of how many samples each, and at which learning rates.

    Args:
        batch_size: Samples of a batch, which all processes share.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it, once Lightning has made the optimiser and knows the length of an epoch."""
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        rates = dict.fromkeys(group.get("initial_lr", group["lr"]) for group in groups)  # in order, each once
        if not rates:  # a method that is fitted, not trained
            return
        size, n, per_step = self.batch_size, trainer.world_size, trainer.accumulate_grad_batches
        batches = f"{per_step} batches of {size}" if per_step > 1 else ""
        shares = f"{size // n} in each of {n} processes" if n > 1 else ""
        made_of = ", ".join(filter(None, (batches, shares)))
        say(
            f"Training: {trainer.estimated_stepping_batches} steps of {size * per_step} samples"
            f"{f' ({made_of})' if made_of else ''}; learning rates as set: {', '.join(f'{rate:g}' for rate in rates)}"
        )
