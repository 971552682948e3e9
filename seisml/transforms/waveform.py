"""Waveforms themselves as input of one-dimensional networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.amplitude import check_normalize, normalized
from seisml.transforms.picture import WaveformPicture


class WaveformFrontEnd(nn.Module):
    """Waveforms without their mean, normalised, for one-dimensional networks: the spectrogram front end's interface.

    Args:
        normalize: Divide each trace by its standard deviation (``"std"``), its largest absolute value (``"peak"``) or
            nothing (None).
        demean: Remove the mean of each trace. False goes with ``normalize=None`` only to hand waveforms through.
        sampling_rate: Of the waveforms, in Hz. Nothing depends on it; both front ends are built alike.

    Shapes:
        ``forward``: (B, C, T) -> (B, C, T). A trace that is dead or holds a non-finite sample gives zeros.
    """

    fitted = True
    frequencies = None  # its rows have none

    def __init__(
        self, normalize: Literal["std", "peak"] | None = "std", demean: bool = True, sampling_rate: float = 1.0
    ):
        super().__init__()
        check_normalize(normalize)
        self.normalize, self.demean, self.sampling_rate = normalize, bool(demean), float(sampling_rate)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"normalize={self.normalize}, demean={self.demean}"

    def fit(self, batches: Iterable[Tensor]) -> WaveformFrontEnd:
        """Do nothing: nothing here depends on the data set."""
        return self

    def check(self, x: Tensor, of_encoder: bool = False) -> str | None:
        """Return a one-line warning where the waveforms (B, C, T) hold non-finite samples, else None.

        Whether an encoder brought this front end (``of_encoder``) changes nothing here.
        """
        finite = torch.isfinite(x).all(dim=-1)
        if finite.all():
            return None
        return f"{int((~finite).sum())} of {finite.numel()} traces hold NaN or infinite samples and count as dead"

    def picture(self, x: Tensor) -> WaveformPicture:
        """Return the normalised waveforms of (B, C, T), to be cropped."""
        if x.ndim != 3:
            raise ValueError(f"expected waveforms (batch, channels, samples), got shape {tuple(x.shape)}")
        x = x if x.dtype == torch.float64 else x.to(torch.float32)
        x = torch.where(torch.isfinite(x).all(dim=-1, keepdim=True), x, 0.0)
        return WaveformPicture(normalized(x, self.normalize) if self.demean or self.normalize else x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised waveforms, (B, C, T)."""
        return self.picture(x).full()


class ScaledWaveformFrontEnd(WaveformFrontEnd):
    """Waveforms without one mean, divided by one standard deviation for all: for where the amplitude itself tells.

    Args:
        mean: What is taken off, in the data's unit.
        std: What the rest is divided by, in the same unit, above 0.
        compress: Then take the inverse hyperbolic sine: as it is below 1, the logarithm far above. Nothing is clipped.
        sampling_rate: Of the waveforms, in Hz. Nothing depends on it.

    Raises:
        UserError: ``std`` is not above 0.

    Shapes:
        ``forward``: (B, C, T) -> (B, C, T). A trace that holds a non-finite sample gives zeros.
    """

    def __init__(self, mean: float, std: float, compress: bool = False, sampling_rate: float = 1.0):
        if not std > 0:
            raise UserError(f"front_end.std: {std:g} does not fit; give a standard deviation above 0")
        super().__init__(normalize=None, demean=False, sampling_rate=sampling_rate)
        self.mean, self.std, self.compress = float(mean), float(std), bool(compress)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"mean={self.mean:g}, std={self.std:g}, compress={self.compress}"

    def picture(self, x: Tensor) -> WaveformPicture:
        """Return the scaled waveforms of (B, C, T), to be cropped."""
        finite = torch.isfinite(x).all(dim=-1, keepdim=True)
        scaled = torch.where(finite, (super().picture(x).full() - self.mean) / self.std, 0.0)
        return WaveformPicture(scaled.asinh() if self.compress else scaled)
