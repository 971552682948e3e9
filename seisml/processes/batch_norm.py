"""Batch normalisation over the samples of all processes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisml.processes.collectives import summed


class SynchronisedBatchNorm(nn.BatchNorm1d):
    """What ``nn.SyncBatchNorm``, which runs on GPUs only, computes: statistics from sums over processes.

    For inputs of any number of axes. Parameters and buffers have the names of ``nn.BatchNorm1d`` and
    ``nn.BatchNorm2d``, so that checkpoints are the same.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> SynchronisedBatchNorm:
        """Make one of a layer, with its weights, statistics and mode."""
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        if norm.affine:
            made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...): in training by mean and variance over N and all later axes, of all processes."""
        if self.training:
            with torch.autocast(x.device.type, enabled=False):
                return self._normalised(x if x.dtype == torch.float64 else x.float()).to(x.dtype)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def _normalised(self, x: Tensor) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        n = summed(x.new_tensor(x.numel() // x.shape[1]))
        mean = summed(x.sum(axes)) / n  # (C,)
        centred = x - mean.view(shape)
        variance = summed(centred.square().sum(axes)) / n
        self._update(mean.detach(), variance.detach() * n / (n - 1).clamp_min(1))
        out = centred * (variance + self.eps).rsqrt().view(shape)
        return out * self.weight.view(shape) + self.bias.view(shape) if self.affine else out

    def _update(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running averages towards this batch; without momentum they are means of all batches."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def synchronise(network: nn.Module, device: torch.device) -> None:
    """Let the BatchNorm layers of a network take their statistics over the samples of all processes.

    Args:
        network: Changed in place; :class:`seisml.networks.iternorm.IterNorm` does so by itself.
        device: Where it will compute.
    """
    for name, child in network.named_children():
        if not isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            synchronise(child, device)
        elif device.type == "cpu":
            setattr(network, name, SynchronisedBatchNorm.of(child))
        else:
            setattr(network, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
