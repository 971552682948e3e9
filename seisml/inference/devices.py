"""Which devices a command can be told to use."""

from __future__ import annotations

import torch

from seisml.errors import UserError


def check_device(device: str) -> None:
    """Raise :class:`UserError` where ``--device`` names one that is not there."""
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise UserError(f"--device: there is no {device!r} here; use cpu")
