"""What several processes that train one model together tell each other; one process alone passes through.

Each process has a share of the batch and computes the same loss of the whole batch, so gradients that flow back through
:func:`gather` and :func:`summed` add up over processes; PyTorch's ``DistributedDataParallel`` then takes the mean over
processes of the parameters' gradients. Together this is the gradient of one process with the whole batch.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


def this_process() -> tuple[int, int]:
    """Rank of this process among those that train together, and their number."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gather(share: Tensor) -> Tensor:
    """Put the shares of all processes together, in the order of the batch that they were dealt from.

    Sample i of the batch is sample ``i // n`` of process ``i % n``; see :class:`seisml.data.sampling.EpochSampler`.

    Args:
        share: Values of this process's samples, (b, ...); b may differ by one between processes.

    Returns:
        Values of the batch, (B, ...), the same in every process; gradients flow back to each share.
    """
    return share if this_process()[1] == 1 else _Gather.apply(share)


def summed(values: Tensor) -> Tensor:
    """Sum of the processes' values, the same in every process; gradients flow back to each."""
    return values if this_process()[1] == 1 else _Sum.apply(values)


def total(count: int) -> int:
    """Sum of a number over the processes."""
    if this_process()[1] == 1:
        return count
    return int(_summed(torch.tensor(count, device=_device())))


def gather_values(value: T) -> list[T]:
    """What each process gives, in the order of their ranks: anything, of any size, with its tensors on the CPU."""
    values = [value] * this_process()[1]
    if len(values) > 1:
        distributed.all_gather_object(values, value)
    return values


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: Tensor) -> Tensor:
        rank, n_processes = this_process()
        counts = [torch.zeros(1, dtype=torch.int64, device=share.device) for _ in range(n_processes)]
        distributed.all_gather(counts, torch.tensor([len(share)], device=share.device))
        sizes = [int(count) for count in counts]
        padded = share.new_zeros(max(sizes), *share.shape[1:])
        padded[: len(share)] = share
        shares = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(shares, padded)
        order = [(place, process) for place in range(max(sizes)) for process in range(n_processes)]
        order = [(place, process) for place, process in order if place < sizes[process]]
        ctx.mine = [number for number, (_, process) in enumerate(order) if process == rank]
        return torch.stack([shares[process][place] for place, process in order])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)[ctx.mine]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(values: Tensor) -> Tensor:
    out = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(out)
    return out


def _device() -> torch.device:
    """Where the processes' backend wants its tensors."""
    return torch.device("cuda") if distributed.get_backend() == "nccl" else torch.device("cpu")
