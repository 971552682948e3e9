"""A table of a network's layers, as a run prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def _hooked(leaves: Iterable[tuple[str, nn.Module]], rows: list[tuple[str, tuple[int, ...], int]]) -> Iterator[None]:
    """Note each leaf's output as it runs."""

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                count = sum(parameter.numel() for parameter in module.parameters())
                rows.append((f"{name} ({type(module).__name__})", tuple(output.shape[1:]), count))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def layer_table(network: nn.Module, example: Tensor) -> list[tuple[str, tuple[int, ...], int]]:
    """List the layers in the order in which they run.

    Args:
        network: Any network; it is run once, in eval mode, and keeps the mode it had.
        example: An input of its shape, (1, C, T).

    Returns:
        (name and type, output shape without the batch, number of parameters) of each layer.
    """
    rows: list[tuple[str, tuple[int, ...], int]] = []
    modes = {module: module.training for module in network.modules()}
    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    leaves = [(name, module) for name, module in leaves if not isinstance(module, nn.Sequential)]  # empty ones
    network.eval()
    try:
        with _hooked(leaves, rows):
            network(example)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return rows


def summary(network: nn.Module, example: Tensor) -> str:
    """Write :func:`layer_table` and the totals as text."""
    rows = layer_table(network, example)
    total = sum(parameter.numel() for parameter in network.parameters())
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{'Layer (type)':<{width}}  {'Output shape':<16}{'Parameters':>12}"]
    lines += [
        f"{name:<{width}}  {str(list(shape)):<16}{f'{count:,}' if count else '--':>12}" for name, shape, count in rows
    ]
    lines.append(f"Parameters: {total:,}, of them trainable: {trainable:,}")
    return "\n".join(lines)
