"""Says while a run trains that a term of its loss is at chance, or that the loss has stopped falling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from seisml.run.messages import say

if TYPE_CHECKING:
    from seisml.methods.base import Method

LOOKS = 40  # at a run, each at the means over as many of its steps, whatever epochs they are
AT_CHANCE = 0.05  # of a term's chance level: as near to it is at chance ...
LEAST_DISTANCE = 0.01  # ... and so is an accuracy that lies this near
PATIENCE = 0.25  # share of the run after which a term may be expected to have left chance
FEWEST_LOOKS = 20  # that it takes to tell whether a loss still falls: in fewer a slow fall is lost in the noise
STOPPED = 0.01  # of all that the loss fell: less over a quarter of the looks is a loss that has stopped


class ProgressWatch(Callback):
    """Looks at means over equal shares of the run's steps, and says each thing once.

    What is looked at is what ``training_step`` returns: the loss, or a dictionary of it (``loss``) and of terms under
    the names of :meth:`seisml.methods.base.Method.chance_levels`.
    """

    def __init__(self) -> None:
        self.means: dict[str, list[float]] = {}
        self.sums: dict[str, Tensor | float] = {}  # over the batches since the last look
        self.n_batches = 0
        self.share = 0  # of the run that was looked at, in LOOKS
        self.said: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """What was seen and said so far, for a run that is resumed."""
        sums = {name: float(value) for name, value in self.sums.items()}
        seen = {"means": self.means, "sums": sums, "n_batches": self.n_batches, "share": self.share}
        return {**seen, "said": sorted(self.said)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave; runs begun before looks were counted in steps are watched anew."""
        if "share" not in state_dict:
            return
        self.means = {name: list(values) for name, values in state_dict["means"].items()}
        self.sums, self.n_batches = dict(state_dict["sums"]), state_dict["n_batches"]
        self.share, self.said = state_dict["share"], set(state_dict["said"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the step to the means, and look at them where another share of the run is done."""
        if not outputs:  # a recipe without gradients only measures
            return
        loss = outputs["loss"] * trainer.accumulate_grad_batches  # Lightning has divided it by them
        told = {**outputs, "train/loss": loss}
        for name in dict.fromkeys(["train/loss", *self._chance(trainer, pl_module)]):
            if name in told:  # kept where it is: a number would wait for the device
                self.sums[name] = self.sums.get(name, 0.0) + told[name].detach()
        self.n_batches += 1
        done = trainer.global_step / max(1.0, float(trainer.estimated_stepping_batches))
        share = int(done * LOOKS)
        if share > self.share:
            self.share = share
            self._look(trainer, pl_module, done)

    def _look(self, trainer: pl.Trainer, method: Method, done: float) -> None:
        for name, value in self.sums.items():
            self.means.setdefault(name, []).append(float(value) / self.n_batches)
        self.sums, self.n_batches = {}, 0
        if done < PATIENCE:
            return
        for name, chance in self._chance(trainer, method).items():
            value = latest(self.means[name]) if name in self.means else math.inf
            if is_at_chance(value, chance):
                self._say(
                    trainer, name,
                    f"{name} is {value:.3g} after {trainer.global_step} steps, and {chance:.3g} is chance: this "
                    "term has taught the encoder nothing yet",
                )  # fmt: skip
        losses = self.means["train/loss"]
        if has_stopped(losses) and done <= 1 - PATIENCE:  # towards the end the rate is small by design
            self._say(
                trainer, "stopped",
                f"train/loss has stopped falling: {latest(losses):.4g} after {trainer.global_step} steps; more steps "
                "alone will not help",
            )  # fmt: skip

    @staticmethod
    def _chance(trainer: pl.Trainer, method: Method) -> dict[str, float]:
        return method.chance_levels(trainer.datamodule.batch_size)

    def _say(self, trainer: pl.Trainer, what: str, words: str) -> None:
        if what not in self.said and trainer.is_global_zero:
            say(f"Note: {words}.")
        self.said.add(what)


def is_at_chance(value: float, chance: float) -> bool:
    """Tell whether a term lies no farther from its chance level than noise takes it."""
    return abs(value - chance) <= max(AT_CHANCE * abs(chance), LEAST_DISTANCE)


def latest(means: list[float]) -> float:
    """Mean of the last quarter of the looks: a few steps alone are noisy."""
    return float(np.mean(means[-max(1, len(means) // 4) :]))


def has_stopped(losses: list[float]) -> bool:
    """Tell whether the last quarter of the looks is no better than the quarter before it, as far as noise lets see."""
    if len(losses) < FEWEST_LOOKS:
        return False
    n = len(losses) // 4
    before, now = np.mean(losses[-2 * n : -n]), latest(losses)
    noise = np.std(np.diff(losses[-2 * n :])) / np.sqrt(n)  # of the difference of two means
    return bool(before - now <= max(STOPPED * abs(losses[0] - now), 2 * noise))
