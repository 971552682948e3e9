"""What to add to a power before its logarithm."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from seisml.errors import UserError

QUANTILE = 0.25
_COLUMNS = 64  # per trace; more tell no more about its noise


def noise_levels(power: Tensor) -> Tensor:
    """Return the noise level of each live trace: the lower quartile of its spectrogram.

    Bins of exactly zero (zero padding) do not count; traces with nothing else, or with a non-finite bin, have no level.

    Args:
        power: Spectrograms with columns first, (B, C, w, f).

    Returns:
        (n,) with n <= B * C, in the unit of ``power``.
    """
    power = power[:, :, :: max(1, power.shape[2] // _COLUMNS)].flatten(2).flatten(0, 1)  # (B * C, bins)
    power = power[torch.isfinite(power).all(dim=1)].sort(dim=1).values
    zeros = (power <= 0).sum(dim=1)
    live = zeros < power.shape[1]
    power, zeros = power[live], zeros[live]
    rank = zeros + ((power.shape[1] - zeros) * QUANTILE).long()
    return power.gather(1, rank[:, None])[:, 0]


def data_floor(powers: Iterable[Tensor]) -> float:
    """Return the floor for a data set: the median of its traces' noise levels.

    In the typical record a quarter of the picture then lies below the floor and is dark, noise shows as faint texture
    above it, and min-max scaling spends its range on signals: not on the deep gaps between spectral peaks or the band
    above an anti-alias filter (a much lower floor), and not on the strongest bins alone (a much higher one). The median
    over traces keeps single loud, quiet or badly scaled stations from setting it.

    Args:
        powers: Spectrograms with columns first, (B, C, w, f) each.

    Raises:
        UserError: No live trace.
    """
    levels = torch.cat([torch.zeros(0), *(noise_levels(power).float().cpu() for power in powers)])
    if not len(levels):
        raise UserError(
            "front_end.floor: auto found no live trace in the training data; set front_end.floor to a number"
        )
    return float(levels.median())
