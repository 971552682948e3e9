"""How good an encoder is while it trains: the nearest-neighbour probe and the collapse monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from seisml.evaluation.collapse import collapse_monitors
from seisml.evaluation.embedding import embed_rows
from seisml.evaluation.probes import knn_accuracy
from seisml.processes.collectives import gather
from seisml.store.identity import event_ids

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
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


class KNNProbe(Callback):
    """Accuracy of a 5-nearest-neighbour classifier on the encoder's outputs, while training.

    Fitted on embeddings of one part of the labelled training events and scored on the dev part, or on other training
    events where there is none. Unlabelled events are left out, and so is the probe where there is one class alone.

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
        if len(data.facts.classes) < 2:
            return
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
