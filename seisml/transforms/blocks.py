"""Work through a batch in blocks of samples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_NUMBERS = 2**19  # 2 MB in float32: stays in the cache of a core


def in_blocks(function: Callable[[slice], Tensor], like: Tensor, numbers_per_sample: int) -> Tensor:
    """Return ``function(slice(None))``, on CPUs put together from the results for blocks of samples.

    Large temporaries cost more than the arithmetic on them: they leave the cache, and their memory is fetched from the
    operating system anew in every batch. Devices with their own memory, and gradients, get the whole batch at once. So
    does a compiler, for which the number of blocks must not depend on the batch.

    Args:
        function: From a slice of the batch to a result whose first axis is that slice of the whole result.
        like: What the function reads, (B, ...): tells the batch size, the device, and whether gradients are wanted.
        numbers_per_sample: How many numbers the largest temporary has per sample.
    """
    n_samples = like.shape[0]
    step = max(1, _NUMBERS // max(1, numbers_per_sample))
    if torch.compiler.is_compiling() or like.device.type != "cpu" or like.requires_grad or step >= n_samples:
        return function(slice(None))
    out: Tensor | None = None
    for start in range(0, n_samples, step):
        block = slice(start, min(start + step, n_samples))
        result = function(block)
        if out is None:
            out = result.new_empty((n_samples, *result.shape[1:]))
        out[block] = result
    return out
