"""What Lightning remembers between two batches and leaves out of its checkpoints.

Lightning's checkpoints hold weights, optimisers, schedules and counters, enough to go on from the end of an epoch. In
the middle of one it also knows the sums behind the epoch's means, and the step under which the next values are logged.
Both stand in attributes without a public name; this is the one place that reads and sets them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pytorch_lightning as pl
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class Sum(BaseModel):
    """A value logged in this epoch, as far as it was summed up.

    Attributes:
        hook: Where it was logged, such as ``training_step``.
        name: Such as ``train/loss``.
        value: The sum, or largest, or smallest.
        weight: Samples behind a mean.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, strict=True, extra="forbid")

    hook: str
    name: str
    reduction: Literal["mean", "sum", "max", "min"]
    prog_bar: bool
    logger: bool
    on_step: bool
    on_epoch: bool
    synchronised: bool
    value: Tensor
    weight: Annotated[int, Field(ge=0)]


def epoch_sums(trainer: pl.Trainer) -> list[dict]:
    """The values logged so far in this training epoch: arguments of :class:`Sum`."""
    return [
        {
            "hook": entry.meta.fx,
            "name": entry.meta.name,
            "reduction": entry.meta.reduce_fx.__name__,
            "prog_bar": entry.meta.prog_bar,
            "logger": entry.meta.logger,
            "on_step": entry.meta.on_step,
            "on_epoch": entry.meta.on_epoch,
            "synchronised": entry.meta.sync.should,
            "value": entry.value.detach().cpu().clone(),
            "weight": int(entry.cumulated_batch_size) if entry.meta.is_mean_reduction else 0,
        }
        for entry in trainer.fit_loop.epoch_loop._results.result_metrics
        if entry.is_tensor and entry.meta.on_epoch and not entry.has_reset
    ]


def restore_epoch_sums(trainer: pl.Trainer, sums: list[Sum]) -> None:
    """Go on with the means of an epoch that was interrupted; called as its next batch begins."""
    results = trainer.fit_loop.epoch_loop._results
    for known in sums:
        results.log(
            known.hook,
            known.name,
            torch.zeros_like(known.value, device=trainer.strategy.root_device),
            prog_bar=known.prog_bar,
            logger=known.logger,
            on_step=known.on_step,
            on_epoch=known.on_epoch,
            reduce_fx=known.reduction,
            sync_dist=known.synchronised,
            sync_dist_fn=trainer.strategy.reduce,
            batch_size=1,
        )
        entry = results[f"{known.hook}.{known.name}"]
        entry.value = known.value.to(entry.value.device)
        if known.reduction == "mean":
            entry.cumulated_batch_size = torch.full_like(entry.cumulated_batch_size, known.weight)
    if sums:  # else the first value that is logged would begin them anew
        trainer._logger_connector._first_loop_iter = False


def logged_steps(trainer: pl.Trainer) -> int:
    """The step under which the next values are logged."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def restore_logged_steps(trainer: pl.Trainer, steps: int) -> None:
    """Set what :func:`logged_steps` gave: Lightning guesses it, and is one off where a batch is about to begin."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = steps
