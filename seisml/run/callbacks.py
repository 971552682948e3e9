"""What watches a run: its history, the nearest-neighbour probe, the collapse monitors, and the saving of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from seisml.errors import UserError, shown
from seisml.evaluation.collapse import collapse_monitors
from seisml.evaluation.embedding import embed_rows
from seisml.evaluation.probes import knn_accuracy
from seisml.files import write_table
from seisml.processes.collectives import gather
from seisml.run.checkpoints import save_encoder
from seisml.store.identity import event_ids, record_ids

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.data.sampling import Batch
    from seisml.methods.base import Method


def monitors(method: Method) -> list[Callback]:
    """What watches a method's encoder, as its settings ask: the nearest-neighbour probe and the collapse monitors."""
    if method.encoder is None:
        return []
    watching: list[Callback] = []
    if method.knn_acc_record_ep_period > 0:
        watching.append(KNNProbe(method.knn_acc_record_ep_period))
    if method.collapse_record_step_period > 0:
        watching.append(CollapseMonitor(method.encoder, method.collapse_record_step_period))
    return watching


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


def is_last_epoch(trainer: pl.Trainer) -> bool:
    """Tell, at its end, whether no epoch follows: by ``max_epochs``, or as ``max_steps`` are done."""
    return trainer.current_epoch + 1 == trainer.max_epochs or 0 < trainer.max_steps <= trainer.global_step


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


class KNNProbe(Callback):
    """Accuracy of a 5-nearest-neighbour classifier on the encoder's outputs, while training.

    Fitted on embeddings of one part of the labelled training events and scored on the dev part, or on other training
    events where there is none. Unlabelled events are left out.

    Args:
        period: Score every so many epochs.
    """

    def __init__(self, period: int) -> None:
        self.period = period

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Fit, score and log ``probe/knn_acc``."""
        if (trainer.current_epoch + 1) % self.period and not is_last_epoch(trainer):
            return
        data = trainer.datamodule
        fit, score = probe_rows(data, pl_module.seed)
        if not len(fit) or not len(score):
            return
        known, asked = (embed_rows(pl_module, data, rows) for rows in (fit, score))
        accuracy = knn_accuracy(known.features, known.label, asked.features, asked.label)
        pl_module.log("probe/knn_acc", accuracy, prog_bar=True)


class CollapseMonitor(Callback):
    """Collapse monitors of the encoder's outputs: see :mod:`seisml.evaluation.collapse`.

    Looks at what the encoder gives for its first input of a step (the first view, where there are several).

    Args:
        encoder: The network to watch.
        period: Look every so many steps: a singular value decomposition is not free.
    """

    def __init__(self, encoder: nn.Module, period: int) -> None:
        self.encoder, self.period = encoder, period
        self._features: Tensor | None = None
        self._hook: RemovableHandle | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Method, batch: Any, batch_idx: int) -> None:
        """Watch the encoder during this step, where it is one of the chosen."""
        if batch_idx % self.period == 0:
            self._features = None
            self._hook = self.encoder.register_forward_hook(self._keep)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log ``collapse/...`` of what the encoder gave; a step that did not use it says nothing."""
        if self._hook is None:
            return
        self._hook.remove()
        self._hook = None
        features = None if self._features is None else gather(self._features)
        if features is not None and len(features) > 1:
            values = {f"collapse/{name}": value for name, value in collapse_monitors(features).items()}
            pl_module.log_dict(values, on_step=False, on_epoch=True, batch_size=len(features))
        self._features = None

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._features is None:
            self._features = output.detach()


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
        """Know the latest file of a run that is resumed."""
        self.saved = self._path(pl_module) if self._epoch else None

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
        return self.folder / f"{method.name}-{self.run}-ep{self._epoch}.ckpt"


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
