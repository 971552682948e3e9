"""Averages of the weights over the steps of a run, where ``exp_params.ema_decay`` asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from seisml.errors import UserError

if TYPE_CHECKING:
    from seisml.data.sampling import Batch
    from seisml.methods.base import Method


class AveragedWeights(WeightAveraging):
    """Keeps an exponential moving average of the weights, which is what is looked at and what the run ends with.

    The method carries the average from each look at the dev part and from each epoch's end until the next batch begins:
    probes, saved encoders and the best model see it. Lightning alone would show it to the dev part only, and save the
    weights of the last step as the best ones. It must come before the other callbacks.

    Statistics of BatchNorm are averaged like the weights that they belong to.

    Args:
        decay: Share of the average that a step keeps, in (0, 1); see :func:`decay_after` for the first steps.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(average, decay=decay))
        self._shown = False  # the method carries the average

    def setup(self, trainer: pl.Trainer, pl_module: Method, stage: str) -> None:
        """Make room for the average, on the device and in the type of the training.

        Raises:
            UserError: The method makes no steps.
        """
        if not pl_module.automatic_optimization:
            raise UserError(
                f"exp_params.ema_decay: {pl_module.name} is fitted at once, and there are no steps to average over; "
                "leave it out"
            )
        # Lightning moves it to its device and type later, and the average stays where, and what, it was
        trainer.precision_plugin.convert_module(pl_module.to(trainer.strategy.root_device))
        super().setup(trainer, pl_module, stage)

    # -- when the method carries the average -----------------------------------------------------------------------
    def on_validation_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Show the average to the dev part."""
        self._show(trainer, pl_module, True)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Stay as it is."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Stay as it is: the best model is saved after this."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Show the average to what looks at the encoder, and saves it, at an epoch's end."""
        self._show(trainer, pl_module, True)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Method, batch: Batch, batch_idx: int) -> None:
        """Go on with the weights of the last step."""
        self._show(trainer, pl_module, False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Let the average be the method's weights."""
        self._show(trainer, pl_module, False)
        super().on_train_end(trainer, pl_module)

    def _show(self, trainer: pl.Trainer, method: Method, average: bool) -> None:
        if average != self._shown:
            self._shown = average
            super().on_validation_epoch_start(trainer, method)  # exchanges the two, whichever is where


def check_average(checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose average is not one over its steps; the weights are looked at elsewhere.

    Args:
        checkpoint: That of a run whose weights are averaged; ``global_step`` and ``callbacks`` are of their kinds.

    Raises:
        UserError: Names the part.
    """
    state, steps = checkpoint["averaging_state"], range(checkpoint["global_step"] + 1)
    count = state.get("n_averaged") if isinstance(state, Mapping) and len(state) == 1 else None
    is_number = isinstance(count, Tensor) and count.layout is torch.strided and not count.shape
    if not is_number or count.dtype != torch.int64 or int(count) not in steps:
        raise UserError("averaging_state does not count the steps of an average")
    if checkpoint["callbacks"].get(AveragedWeights.__qualname__, {}).get("latest_update_step") not in steps:
        raise UserError("callbacks do not say with which step the average was updated")


def averaging(method: Method) -> list[Any]:
    """What averages the weights, where the method's settings ask for it."""
    return [] if method.ema_decay is None else [AveragedWeights(method.ema_decay)]


def average(averaged: Sequence[Tensor], current: Sequence[Tensor], n: Tensor | int, decay: float) -> None:
    """Move averages in place towards the present values; whole numbers, which are counters, become these.

    Args:
        averaged: The averages, of one type and device.
        current: The present values, of the same shapes.
        n: Steps that the averages are made of.
        decay: See :func:`decay_after`.
    """
    if averaged[0].is_floating_point():
        get_ema_multi_avg_fn(decay_after(int(n), decay))(averaged, current, n)
        return
    for mean, value in zip(averaged, current, strict=True):
        mean.copy_(value)


def decay_after(n: int, limit: float) -> float:
    """Share of an average of ``n`` steps that the next step keeps: ``(1 + n) / (10 + n)``, at most ``limit``.

    A run of few steps would else end with much of the weights, and of the statistics of BatchNorm, that it began with:
    of 300 steps with a decay of 0.99 one part in 20. The first steps keep less, as TensorFlow's average does.
    """
    return min(limit, (1 + n) / (10 + n))
