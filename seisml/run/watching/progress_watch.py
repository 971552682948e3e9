"""Says while a run trains that a term of its loss is at chance, or that the loss has stopped falling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from seisml.run.messages import say

if TYPE_CHECKING:
    from seisml.methods.base import Method

AT_CHANCE = 0.05  # of a term's chance level: as near to it is at chance ...
LEAST_DISTANCE = 0.01  # ... and so is an accuracy that lies this near
PATIENCE = 0.25  # share of the run after which a term may be expected to have left chance
FEWEST_EPOCHS = 12  # epochs that it takes to tell whether a loss still falls
STOPPED = 0.01  # of all that the loss fell: less over a quarter of the epochs is a loss that has stopped


class ProgressWatch(Callback):
    """Looks at the epochs' means, and says each thing once."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.said: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """The losses so far and what was said, for a run that is resumed."""
        return {"losses": self.losses, "said": sorted(self.said)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.losses, self.said = list(state_dict["losses"]), set(state_dict["said"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Look at the epoch before: by now its means are there."""
        if trainer.current_epoch and "train/loss" in trainer.callback_metrics:
            self._look(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Look at the last epoch."""
        if "train/loss" in trainer.callback_metrics:
            self._look(trainer, pl_module)

    def _look(self, trainer: pl.Trainer, method: Method) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.losses.append(values["train/loss"])
        done = trainer.global_step / max(1.0, float(trainer.estimated_stepping_batches))
        if done < PATIENCE:
            return
        for name, chance in method.chance_levels(trainer.datamodule.batch_size).items():
            if name in values and is_at_chance(values[name], chance):
                self._say(
                    trainer, name,
                    f"{name} is {values[name]:.3g} after {trainer.global_step} steps, and {chance:.3g} is chance: this "
                    "term has taught the encoder nothing yet",
                )  # fmt: skip
        if has_stopped(self.losses) and done <= 1 - PATIENCE:  # towards the end the rate is small by design
            self._say(
                trainer, "stopped",
                f"train/loss has stopped falling: {self.losses[-1]:.4g} after {trainer.global_step} steps; more steps "
                "alone will not help",
            )  # fmt: skip

    def _say(self, trainer: pl.Trainer, what: str, words: str) -> None:
        if what not in self.said and trainer.is_global_zero:
            say(f"Note: {words}.")
        self.said.add(what)


def is_at_chance(value: float, chance: float) -> bool:
    """Tell whether a term lies no farther from its chance level than noise takes it."""
    return abs(value - chance) <= max(AT_CHANCE * abs(chance), LEAST_DISTANCE)


def has_stopped(losses: list[float]) -> bool:
    """Tell whether the last quarter of the epochs is no better than the quarter before it, as far as noise lets see."""
    if len(losses) < FEWEST_EPOCHS:
        return False
    n = len(losses) // 4
    before, now = np.mean(losses[-2 * n : -n]), np.mean(losses[-n:])
    noise = np.std(np.diff(losses[-2 * n :])) / np.sqrt(n)  # of the difference of two means
    return bool(before - now <= max(STOPPED * abs(losses[0] - now), 2 * noise))
