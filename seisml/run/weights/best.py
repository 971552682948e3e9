"""The model that is best on the dev part, and the end of a run that gets no better there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from seisml.errors import UserError

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


def best_model(method: Method, data: StoreDataModule, folder: Path) -> list[Callback]:
    """What keeps the model that is best on the dev part, where there is one, and stops where it gets no better."""
    watched = method.task.monitor
    stops = method.stop_patience > 0
    if watched is None or not len(data.split.dev):
        if stops:
            raise UserError("exp_params.stop_patience: stopping needs a dev part; set dataset.dev_data_ratio=0.1")
        return []
    best = BestModel(folder / "checkpoints", watched.name, watched.mode)
    stop = EarlyStopping(watched.name, patience=max(1, method.stop_patience), mode=watched.mode, check_finite=False)
    return [best, stop] if stops else [best]
