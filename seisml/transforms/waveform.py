"""Waveforms themselves as input of one-dimensional networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.picture import WaveformPicture


class WaveformFrontEnd(nn.Module):
    """Waveforms without their mean, normalised: the interface of the spectrogram front end for one-dimensional networks.

    Args:
        normalize: Divide each trace by its standard deviation (``"std"``) or its largest absolute value (``"peak"``); None: not at all.
        demean: Remove the mean of each trace.
        sampling_rate: Of the waveforms, in Hz; unused, so that both front ends are built alike.

    Shapes:
        ``forward``: (B, C, T) -> (B, C, T). A dead trace, or one with NaN, gives zeros.
    """

    fitted = True

    def __init__(
        self, normalize: Literal["std", "peak"] | None = "std", demean: bool = True, sampling_rate: float = 1.0
    ):
        super().__init__()
        if normalize not in (None, "std", "peak"):
            raise UserError(f"front_end.normalize: {normalize!r} is unknown; choose std, peak or null")
        self.normalize, self.demean, self.sampling_rate = normalize, bool(demean), float(sampling_rate)

    def extra_repr(self) -> str:
        """Say what distinguishes this front end, for ``print``."""
        return f"normalize={self.normalize}, demean={self.demean}"

    def n_columns(self, n_samples: int) -> int:
        """Return the width of the picture, the number of samples."""
        return n_samples

    def fit(self, batches: Iterable[Tensor]) -> WaveformFrontEnd:
        """Do nothing: there is nothing to learn from the data."""
        return self

    def check(self, x: Tensor) -> str | None:
        """Return a one-line warning where the batch holds non-finite samples, else None."""
        bad = int((~torch.isfinite(x).all(dim=-1)).sum())
        return (
            f"{bad} of {x.shape[0] * x.shape[1]} traces hold NaN or infinite samples and count as dead" if bad else None
        )

    def picture(self, x: Tensor) -> WaveformPicture:
        """Return the normalised waveforms of (B, C, T), croppable."""
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.to(torch.float32)
            finite = torch.isfinite(x).all(dim=-1, keepdim=True)
            x = torch.where(finite, x, 0.0)
            constant = (x == x[..., :1]).all(dim=-1, keepdim=True)
            if self.demean:
                x = torch.where(constant, 0.0, x - x.mean(dim=-1, keepdim=True))
            if self.normalize is not None:
                size = x.std(dim=-1, keepdim=True) if self.normalize == "std" else x.abs().amax(dim=-1, keepdim=True)
                x = x / torch.where(size > 0, size, 1.0)
            return WaveformPicture(x, "waveform samples")

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised waveforms, (B, C, T)."""
        return self.picture(x).full()
