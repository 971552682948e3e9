"""Encoders that a run saves on its way."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn

from seisml.errors import shown
from seisml.run.checkpoints import save_encoder
from seisml.run.messages import say
from seisml.run.watching.monitors import is_last_epoch

if TYPE_CHECKING:
    from seisml.methods.base import Method


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
        self._epoch = 0  # of the latest file

    def state_dict(self) -> dict[str, Any]:
        """The epoch of the latest file."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self._epoch = int(state_dict["epoch"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Know the latest file of a run that is resumed; say whose files a new one replaces, while they are there."""
        self.saved = self._path(pl_module) if self._epoch else None
        others = [] if self._epoch else sorted(self.folder.glob(f"{escape(self._stem(pl_module))}-ep*.ckpt"))
        if others:
            say(
                f"Note: {shown(others[-1])} is there already, of another run of this name, and replaced as this one "
                "saves its encoder; to keep both, name this run otherwise (hydra.run.dir) or set encoder_folder"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Write the file where this epoch is one of the chosen."""
        epoch = trainer.current_epoch + 1
        if epoch % self.period == 0 or is_last_epoch(trainer):
            self._save(trainer, pl_module, epoch)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Write the file of an epoch that nobody knew to be the last: what stops early says so after all others."""
        if trainer.current_epoch != self._epoch:
            self._save(trainer, pl_module, trainer.current_epoch)

    def _save(self, trainer: pl.Trainer, method: Method, epoch: int) -> None:
        if trainer.is_global_zero:
            self._epoch = epoch
            self.saved = self._path(method)
            save_encoder(method, self.saved, epoch)

    def _path(self, method: Method) -> Path:
        return self.folder / f"{self._stem(method)}-ep{self._epoch}.ckpt"

    def _stem(self, method: Method) -> str:
        return f"{method.name}-{self.run}"


def has_weights(encoder: nn.Module | None) -> bool:
    """Whether there is an encoder that another run can load: seismic attributes are computed, not learned."""
    return encoder is not None and any(True for _ in encoder.parameters())
