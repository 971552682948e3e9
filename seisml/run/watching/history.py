"""What a run has logged, epoch by epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class History(Callback):
    """Keeps what was logged, one row per epoch, whatever the logger."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.values: dict[str, float] = {}  # the latest of each

    def state_dict(self) -> dict[str, Any]:
        """The rows and latest values, for a run that is resumed."""
        return {"rows": self.rows, "values": self.values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.rows, self.values = list(state_dict["rows"]), dict(state_dict["values"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the values of the epoch before: by now every callback has logged its values."""
        if trainer.callback_metrics:
            self._note(trainer, trainer.current_epoch - 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the values of the last epoch."""
        self._note(trainer, trainer.current_epoch - 1 if trainer.current_epoch else 0)

    def _note(self, trainer: pl.Trainer, epoch: int) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        # values that are not measured every epoch stand there until the next time: note them once
        fresh = {name: value for name, value in values.items() if "train/" in name or self.values.get(name) != value}
        self.rows.append({"epoch": epoch, **fresh})
        self.values = self.values | values

    def frame(self) -> pd.DataFrame:
        """The values, one row per epoch."""
        return pd.DataFrame(self.rows)
