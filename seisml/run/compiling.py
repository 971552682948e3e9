"""torch.compile for the encoder of a run, where ``trainer_params.compile`` asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from seisml.errors import UserError

if TYPE_CHECKING:
    from seisml.methods.base import Method


class CompileEncoder(Callback):
    """Compiles the encoder's forward pass while the run trains.

    Of the encoder, the costliest part, and of its ``forward`` alone: weights keep their names, so that checkpoints load
    anywhere, and hooks on the encoder see what it gives. The collapse monitor is one.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        """Compile it.

        Raises:
            UserError: There is no encoder, or BatchNorm spans processes on CPUs.
        """
        encoder = pl_module.encoder
        if encoder is None:
            raise UserError(f"trainer_params.compile: {pl_module.name} has no encoder to compile; leave it out")
        device = trainer.strategy.root_device
        if trainer.world_size > 1 and device.type == "cpu":
            raise UserError(
                "trainer_params.compile: several processes on CPUs share the statistics of BatchNorm in a way that is "
                "not compiled; leave it out, or take one process"
            )
        encoder.forward = compiled(encoder.forward)

    def teardown(self, trainer: pl.Trainer, pl_module: Method, stage: str) -> None:
        """Leave the encoder as it was: testing meets other shapes, and each would be compiled."""
        if pl_module.encoder is not None:
            vars(pl_module.encoder).pop("forward", None)


def compiled(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A forward pass, compiled as it is first called.

    Raises:
        UserError: Then, where there is no compiler, or none for this network.
    """

    def run(x: Tensor) -> Tensor:
        try:
            return fast(x)
        except TorchDynamoException as error:  # whatever a step of the compiler makes of it, down to the C++ compiler
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"trainer_params.compile: torch.compile does not work here ({reason}); leave it out"
            ) from error

    fast = torch.compile(forward)
    return run
