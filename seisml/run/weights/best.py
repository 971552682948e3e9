"""The model that is best on the dev part, and the end of a run that gets no better there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from seisml.errors import UserError
from seisml.run.messages import say

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method


class BestModel(ModelCheckpoint):
    """Keeps the model that is best on the dev part as ``best.ckpt``.

    Args:
        folder: Where the file goes.
        monitor: Name of the value that chooses.
        mode: ``min`` or ``max``.
    """

    def __init__(self, folder: Path, monitor: str, mode: Literal["min", "max"]) -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode=mode, save_weights_only=True, enable_version_counter=False
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value so far; the file lies in this run's folder, wherever it lay before."""
        scores = list(state_dict["best_k_models"].values())
        path = str(Path(str(self.dirpath)) / "best.ckpt") if scores else ""
        here = {
            "dirpath": self.dirpath,
            "best_model_path": path,
            "kth_best_model_path": path,
            "last_model_path": "",
            "best_k_models": dict(zip([path], scores, strict=False)),
        }
        super().load_state_dict({**state_dict, **here})


class StopEarly(EarlyStopping):
    """Ends a run that gets no better on the dev part, and says where.

    Args:
        monitor: Name of the value that tells.
        mode: ``min`` or ``max``.
        patience: Looks at the dev part without a better value.
    """

    def __init__(self, monitor: str, mode: Literal["min", "max"], patience: int) -> None:
        super().__init__(monitor, patience=patience, mode=mode, check_finite=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Say where training stopped, and at what value."""
        if self.wait_count >= self.patience:
            say(
                f"Stopped after epoch {self.stopped_epoch + 1} (step {trainer.global_step}): {self.monitor} has got no "
                f"better than {float(self.best_score):.4g} in {self.patience} looks at the dev part."
            )


def best_model(method: Method, data: StoreDataModule, folder: Path) -> list[Callback]:
    """What keeps the model that is best on the dev part, where there is one, and stops where it gets no better.

    Raises:
        UserError: It is to stop, and no dev part was asked for.
    """
    watched = method.task.monitor
    stops = method.stop_patience > 0
    if watched is None or not len(data.split.dev):
        if stops and not data.no_dev:
            raise UserError(
                "exp_params.stop_patience: stopping needs a dev part; set dataset.dev_data_ratio=0.2, and "
                "dataset.dev_from=train where labels are few"
            )
        return []
    best = BestModel(folder / "checkpoints", watched.name, watched.mode)
    return [StopEarly(watched.name, watched.mode, method.stop_patience), best] if stops else [best]
