"""Iterative normalisation (Huang et al. 2019, arXiv 1904.03441): group-wise whitening by Newton's iterations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.losses.autocast import in_float32
from seisml.processes.collectives import summed, total


class IterNorm(nn.Module):
    """Whiten features within groups of channels, approximately, over the batch.

    Per group of d consecutive channels (see :func:`group_size`), with X (B, d) centred over the batch:
    S = X^T X / B + eps I; S_N = S / tr(S); P_0 = I; P_{k+1} = (3 P_k - P_k^3 S_N) / 2 for T iterations;
    W = P_T / sqrt(tr(S)); the output is X W. A few iterations do not reach the identity covariance, by design.
    Evaluation uses running averages of the mean and of W. Everything is float32 inside autocast.

    Args:
        num_features: Number of features D.
        num_groups: Groups asked for; where they do not divide D, there are more, of fewer channels each.
        T: Newton iterations.
        eps: Added to the covariance's diagonal, before its trace is taken.
        momentum: Weight of the newest batch in the running averages.
        affine: Learn a scale and a shift per feature.

    Attributes:
        num_groups: The groups there are.
        running_mean: (num_groups, d), from zeros.
        running_whitening: (num_groups, d, d), from the identity.

    Raises:
        UserError: ``num_features`` or ``num_groups`` is below 1.
    """

    running_mean: Tensor
    running_whitening: Tensor

    def __init__(
        self,
        num_features: int,
        num_groups: int = 64,
        T: int = 5,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ):
        super().__init__()
        if num_features < 1 or num_groups < 1:
            raise UserError(f"IterNorm: {num_groups} groups of {num_features} features (proj_out); both are 1 or more")
        size = group_size(num_features, num_groups)
        self.num_features, self.num_groups, self.T = num_features, num_features // size, T
        self.eps, self.momentum, self.affine = eps, momentum, affine
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(self.num_groups, size))
        self.register_buffer("running_whitening", torch.eye(size).repeat(self.num_groups, 1, 1))

    @in_float32
    def forward(self, x: Tensor) -> Tensor:
        """Whiten a batch.

        Args:
            x: Features (B, num_features).

        Returns:
            Whitened features (B, num_features), float32 or wider.

        Raises:
            ValueError: Another shape.
            UserError: A training batch of one sample.
        """
        if x.dim() != 2 or x.shape[1] != self.num_features:
            raise ValueError(f"IterNorm: needs input (B, {self.num_features}), got {tuple(x.shape)}")
        groups = x.unflatten(1, (self.num_groups, -1)).transpose(0, 1)  # (G, B, d)
        if self.training:
            n = total(x.shape[0])  # of all processes, which whiten their common batch
            if n < 2:
                raise UserError(f"IterNorm: needs 2 or more samples to train, got {tuple(x.shape)}; raise batch_size")
            mean = summed(groups.sum(dim=1)) / n  # (G, d)
            centred = groups - mean[:, None]
            whitening = self._whitening(centred, n)
            self._update(mean, whitening)
        else:
            centred, whitening = groups - self.running_mean[:, None], self.running_whitening
        out = torch.bmm(centred, whitening).transpose(0, 1).flatten(1)  # W is symmetric
        return torch.addcmul(self.bias, out, self.weight) if self.affine else out

    def _whitening(self, centred: Tensor, n: int) -> Tensor:
        """Newton's approximation of the inverse square root of each group's covariance, (G, B, d) -> (G, d, d)."""
        identity = torch.eye(centred.shape[2], dtype=centred.dtype, device=centred.device)
        covariance = summed(centred.transpose(1, 2) @ centred) / n + self.eps * identity
        trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
        normalised = covariance / trace  # all eigenvalues in (0, 1], so that the iterations converge
        p = identity.expand_as(covariance)
        for _ in range(self.T):
            p = torch.baddbmm(p, torch.bmm(torch.bmm(p, p), p), normalised, beta=1.5, alpha=-0.5)
        return p * trace.rsqrt()

    @torch.no_grad()
    def _update(self, mean: Tensor, whitening: Tensor) -> None:
        """Move the running averages towards this batch."""
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_whitening.lerp_(whitening.to(self.running_whitening.dtype), self.momentum)

    def extra_repr(self) -> str:
        """Arguments, for print."""
        return f"{self.num_features}, num_groups={self.num_groups}, T={self.T}, eps={self.eps}, affine={self.affine}"


def group_size(num_features: int, num_groups: int) -> int:
    """Channels of a group, by the published rule: features / groups rounded up, halved until it divides the features.

    Examples:
        >>> group_size(4096, 64), group_size(300, 64), group_size(130, 64)
        (64, 5, 1)
    """
    size = -(-num_features // num_groups)
    while num_features % size:
        size //= 2
    return size
