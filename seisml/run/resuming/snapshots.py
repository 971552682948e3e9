"""Checkpoints of a run that trains, from which it goes on as if it had never been interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytorch_lightning as pl
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor

from seisml.errors import UserError, shown
from seisml.files import write_text
from seisml.run.messages import say
from seisml.run.resuming.lightning_state import (
    Sum,
    epoch_sums,
    logged_steps,
    restore_epoch_sums,
    restore_logged_steps,
)
from seisml.run.resuming.stopping import StopSignals
from seisml.run.settings import CheckpointTimes
from seisml.values.stored import read_stored
from seisml.values.tensors import is_whole

if TYPE_CHECKING:
    from seisml.data.sampling import Batch
    from seisml.methods.base import Method


class Moment(BaseModel):
    """The state of training as a batch is about to begin, beside what Lightning saves.

    Attributes:
        epoch: Epoch of the batch, from 0.
        batch: Its number in the epoch, from 0.
        logged_steps: See :func:`seisml.run.resuming.lightning_state.logged_steps`.
        sums: See :func:`seisml.run.resuming.lightning_state.epoch_sums`.
        random: State of PyTorch's global generators, of the CPU and of each GPU; dropout draws from them.
        method: What the method remembers; see :meth:`seisml.methods.base.Method.training_state`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, strict=True, extra="forbid")

    epoch: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=0)]
    logged_steps: Annotated[int, Field(ge=0)]
    sums: list[Sum]
    random: Annotated[list[Tensor], Field(min_length=1)]
    method: dict[str, Tensor]

    @field_validator("random")
    @classmethod
    def _are_of_generators(cls, states: list[Tensor]) -> list[Tensor]:
        devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        for device, state in zip(devices, states, strict=False):  # another machine may have other GPUs
            try:
                torch.Generator(device).set_state(state)
            except (RuntimeError, TypeError):
                raise ValueError(f"is no state of a generator of {device}") from None
        return states

    @field_validator("method")
    @classmethod
    def _are_whole(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if not all(map(is_whole, tensors.values())):
            raise ValueError("holds arrays whose numbers do not stand in the file")
        return tensors


class Snapshot(BaseModel):
    """What a checkpoint holds for a resumed run, beside what Lightning saves.

    Attributes:
        moment: Where training stands; None once it is done.
        metrics_csv: Text of ``metrics.csv``, where there is such a logger.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    moment: Moment | None = None
    metrics_csv: str | None = None


class Snapshots(Callback):
    """Saves the state of training now and then, and takes it up again.

    Always as a batch begins whose predecessor has made its step: then nothing is under way, neither gradients that
    wait for others nor a look at the dev part.

    Args:
        path: The file; the last good one stays until the next is whole.
        times: When to save.
        signals: Those at which to save, too, and to end the run.
    """

    def __init__(self, path: Path, times: CheckpointTimes, signals: StopSignals) -> None:
        self.path, self.times, self.signals = path, times, signals
        self._loaded = Snapshot()
        self._now: dict[str, Any] = {}
        self._last_step, self._last_time = 0, time.monotonic()

    # -- taking up -------------------------------------------------------------------------------------------------
    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Method, checkpoint: dict[str, Any]) -> None:
        """Read the state of a checkpoint, and let the data begin with the batch that was next."""
        state = checkpoint["callbacks"].get(self.state_key)
        if state is None:
            raise UserError(f"checkpoint {self.path}: the state of training is missing; remove it to start anew")
        with self._taking_up():
            self._loaded = read_stored(Snapshot, state, "the state of training")
        moment = self._loaded.moment
        if moment is not None:
            trainer.datamodule.done = (moment.epoch, moment.batch)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Let the logger's file be as it was."""
        text = self._loaded.metrics_csv
        if text is not None and isinstance(trainer.logger, CSVLogger) and trainer.is_global_zero:
            restore_csv(trainer.logger, text)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Start the clock; set the training mode, which an epoch that is under way does no more.

        Dropout begins with the run's seed, whatever was drawn before: several processes draw as one does.
        """
        self.signals.wait()
        pl_module.train()
        torch.manual_seed(pl_module.seed)
        self._last_step, self._last_time = trainer.global_step, time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Method, batch: Batch, batch_idx: int) -> None:
        """Take up what was saved before the first batch; save before any other where it is time to."""
        if self._loaded.moment is not None:
            self._take_up(trainer, pl_module, self._loaded.moment, batch_idx)
            self._loaded = Snapshot()
        elif self._is_due(trainer, batch_idx):
            self._save(trainer, self._moment(trainer, pl_module, batch_idx))

    def _take_up(self, trainer: pl.Trainer, method: Method, moment: Moment, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) != (moment.epoch, moment.batch):
            raise UserError(
                f"checkpoint {self.path}: it was saved before batch {moment.batch} of epoch {moment.epoch}, and "
                f"training goes on with batch {batch_idx} of epoch {trainer.current_epoch}; remove it to start anew"
            )
        say(f"Going on with batch {batch_idx + 1} of epoch {trainer.current_epoch + 1} (step {trainer.global_step}).")
        restore_logged_steps(trainer, moment.logged_steps)
        restore_epoch_sums(trainer, moment.sums)
        with self._taking_up():
            method.load_training_state(moment.method)
        torch.set_rng_state(moment.random[0])
        if len(moment.random) == 1 + torch.cuda.device_count():
            torch.cuda.set_rng_state_all(moment.random[1:])

    @contextmanager
    def _taking_up(self) -> Iterator[None]:
        """Name the checkpoint, and the cure, where what it holds is refused."""
        try:
            yield
        except UserError as error:
            raise UserError(f"checkpoint {self.path}: {error}; remove it to start anew") from error

    def on_exception(self, trainer: pl.Trainer, pl_module: Method, exception: BaseException) -> None:
        """At Ctrl-C, say with what the run can go on."""
        if isinstance(exception, KeyboardInterrupt) and self.path.is_file():
            folder = shown(self.path.parent.parent)
            say(f"step {self._last_step} is saved in {shown(self.path)}; resume={folder} goes on there")

    # -- saving ----------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint that is being saved."""
        return self._now

    def finish(self, trainer: pl.Trainer) -> None:
        """Save the run, whose training is done."""
        self._save(trainer, None)
        self.signals.release()

    def _save(self, trainer: pl.Trainer, moment: dict[str, Any] | None) -> None:
        """Save arguments of :class:`Moment`; end the run where a signal asked for it, of all processes at once.

        Raises:
            Stopped: One of them got a signal.
        """
        self.signals.saves = False
        has_csv = isinstance(trainer.logger, CSVLogger) and trainer.is_global_zero
        self._now = {"moment": moment, "metrics_csv": saved_csv(trainer.logger) if has_csv else None}
        trainer.save_checkpoint(self.path)
        self._now = {}
        self._last_step, self._last_time = trainer.global_step, time.monotonic()
        # all know the number, as what requeues a job listens in one process alone
        came = torch.tensor(self.signals.came, device=trainer.strategy.root_device)
        number = int(trainer.strategy.reduce(came, reduce_op="max"))
        if number:
            self.signals.came = number
            raise self.signals.stop(f"step {trainer.global_step} is saved in {shown(self.path)}")

    def _is_due(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        if batch_idx % trainer.accumulate_grad_batches or trainer.global_step == self._last_step:
            return False
        epochs, steps = self.times.get("every_n_epochs"), self.times.get("every_n_steps")
        minutes = self.times.get("every_n_minutes")
        if epochs and batch_idx == 0 and trainer.current_epoch % epochs == 0:
            return True
        if steps and trainer.global_step - self._last_step >= steps:
            return True
        # clocks of several processes differ, as do the moments at which signals reach them: all save where one would
        late = minutes is not None and time.monotonic() - self._last_time >= 60 * minutes
        asked = self.signals.came > 0 or self.signals.saves
        return trainer.strategy.reduce_boolean_decision(late or asked, all=False)

    def _moment(self, trainer: pl.Trainer, method: Method, batch_idx: int) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {
            "epoch": trainer.current_epoch,
            "batch": batch_idx,
            "logged_steps": logged_steps(trainer),
            "sums": epoch_sums(trainer),
            "random": [torch.get_rng_state(), *cuda],
            "method": method.training_state(),
        }


def saved_csv(logger: CSVLogger) -> str | None:
    """Text of a logger's ``metrics.csv``, with what was waiting to be written; None where nothing was logged."""
    logger.save()
    path = Path(logger.experiment.metrics_file_path)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def restore_csv(logger: CSVLogger, text: str) -> None:
    """Let a logger, which begins with an empty ``metrics.csv``, go on with one as it was."""
    experiment = logger.experiment
    write_text(experiment.metrics_file_path, text)
    experiment.metrics_keys = text.partition("\n")[0].strip().split(",")
