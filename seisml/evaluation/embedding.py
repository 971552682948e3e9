"""Embeddings of chosen records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from seisml.progress import follow

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method

SHORT = 8  # batches that need no progress bar of their own


@torch.no_grad()
def embed_rows(method: Method, data: StoreDataModule, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Embed one drawn trace of each of the chosen rows, in eval mode, on the method's device.

    Args:
        method: The network.
        data: The data module that the rows belong to.
        rows: Row numbers, shape (N,).

    Returns:
        Embeddings (N, D) float32 and labels (N,), on the CPU.
    """
    training = method.training
    method.eval()
    features, labels = [], []
    loader = data.evaluation_loader(rows, single=True)
    shown = method.trainer.progress_bar_callback is not None and len(loader) > SHORT
    for batch in follow(loader, "embedding", "batch", shown=shown):
        batch = {name: value.to(method.device) for name, value in batch.items()}
        with method.trainer.precision_plugin.forward_context():
            embedding, _ = method.encode_traces(batch)  # (B, 1, D)
        features.append(embedding[:, 0].float().cpu())
        labels.append(batch["label"].cpu())
    method.train(training)
    return torch.cat(features), torch.cat(labels)
