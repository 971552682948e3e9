"""How far training is: Lightning's bar on a terminal, elsewhere a line with the metrics now and then."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, TQDMProgressBar

from seisml.terminal.progress import Lines, on_terminal


def training_progress() -> ProgressBar:
    """What suits the place that the run is watched from."""
    return TQDMProgressBar() if on_terminal() else ProgressLines()


class ProgressLines(ProgressBar):
    """A line every ten seconds at most, with what the bar would show; and one at the end of training."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._lines = Lines("training", "epoch")

    def disable(self) -> None:
        """Say nothing: another process of the run speaks."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._lines = Lines("training", "epoch")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say where in a long epoch it is."""
        if batch_idx + 1 < self.total_train_batches:  # after the last one the epoch has its metrics soon
            self._say_if_due(f"epoch {self._epoch(trainer)}, batch {batch_idx + 1} of {self.total_train_batches}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how the epoch went."""
        self._say_if_due(f"epoch {self._epoch(trainer)}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say where it ended."""
        if self._enabled:
            self._lines.say(f"done after {trainer.current_epoch} epochs, {self._state()}")

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._lines = Lines("testing", "batch")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say where in a long test it is."""
        self._say_if_due(f"batch {batch_idx + 1}")

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._lines = Lines("predicting", "batch")

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say where in a long prediction it is."""
        self._say_if_due(f"batch {batch_idx + 1}")

    def _say_if_due(self, words: str) -> None:
        if self._enabled and self._lines.due():
            self._lines.say(f"{words}, {self._state()}".rstrip(", "))

    def _state(self) -> str:
        step = f"step {self.trainer.global_step}"
        values = {name: float(value) for name, value in self.trainer.progress_bar_metrics.items()}
        return ", ".join([step, *(f"{name} {value:.4g}" for name, value in values.items())])

    @staticmethod
    def _epoch(trainer: pl.Trainer) -> str:
        known = trainer.max_epochs is not None and trainer.max_epochs > 0
        return f"{trainer.current_epoch + 1}" + (f" of {trainer.max_epochs}" if known else "")
