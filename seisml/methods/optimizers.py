"""Optimisers by name, and their state where a run is resumed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

OptimizerName = Literal["adam", "adamw", "sgd"]
OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


def new_optimizer(
    name: OptimizerName, groups: Iterable[dict[str, Any]], weight_decay: float, device: torch.device
) -> torch.optim.Optimizer:
    """Build an optimiser; on CPUs one that goes over the parameters once a step: the default takes ten passes.

    Args:
        name: Its name.
        groups: Parameters and their learning rates, as PyTorch takes them.
        weight_decay: Weight decay.
        device: Where the parameters are.
    """
    fused = True if device.type == "cpu" else None  # float16's scaled gradients, on GPUs, ask for the default
    optimizer = OPTIMIZERS[name](groups, weight_decay=weight_decay, fused=fused)
    optimizer.register_load_state_dict_post_hook(partial(_fit_loaded_state, fused=fused))
    return optimizer


def _fit_loaded_state(optimizer: torch.optim.Optimizer, fused: bool | None) -> None:
    """Let the state of a run that is resumed fit this device, wherever it was saved.

    Fused optimisers walk through memory, and mix the elements of a state that lies in another order than its parameter.
    """
    for group in optimizer.param_groups:
        group["fused"] = fused
        for parameter in group["params"]:
            for name, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    optimizer.state[parameter][name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
