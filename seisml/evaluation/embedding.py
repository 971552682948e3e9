"""Embeddings of chosen records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seisml.terminal.progress import follow

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method

SHORT = 8  # batches that need no progress bar


class Embedded(NamedTuple):
    """Embeddings of windows, on the CPU.

    Attributes:
        features: (N, D) float32.
        label: (N,).
        row: Rows of the store, (N,).
        start: First sample of each window in its record, (N,).
    """

    features: Tensor
    label: Tensor
    row: Tensor
    start: Tensor


@torch.no_grad()
def embed_rows(method: Method, data: StoreDataModule, rows: np.ndarray) -> Embedded:
    """Embed one drawn trace of each window of the chosen rows, in eval mode, on the method's device.

    Args:
        method: The network.
        data: The data module that the rows belong to.
        rows: Row numbers, shape (N,).
    """
    training = method.training
    method.eval()
    parts = []
    loader = data.evaluation_loader(rows, single=True)
    precision = method.trainer.precision_plugin
    shown = method.trainer.progress_bar_callback is not None and len(loader) > SHORT
    for batch in follow(loader, "embedding", "batch", shown=shown):
        batch = precision.convert_input({name: value.to(method.device) for name, value in batch.items()})
        with precision.forward_context():
            embedding, _ = method.encode_traces(batch)  # (B, 1, D)
        keys = (batch[name].cpu() for name in ("label", "index", "start"))
        parts.append(Embedded(embedding[:, 0].float().cpu(), *keys))
    method.train(training)
    return Embedded(*map(torch.cat, zip(*parts, strict=True)))
