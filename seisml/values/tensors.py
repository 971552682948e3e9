"""Tensors that come from files."""

from __future__ import annotations

import torch
from torch import Tensor


def is_whole(tensor: Tensor) -> bool:
    """Whether every number of a tensor stands in the file: a sparse or expanded one has more than it brings along."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
