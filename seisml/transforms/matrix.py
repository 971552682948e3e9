"""Spectrograms that were computed beforehand: rows of a table become pictures again."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.picture import WaveformPicture
from seisml.transforms.views import WholeView

DEEPEST = 1e-12  # of a picture's largest power: what the logarithm does not look below


class MatrixFrontEnd(nn.Module):
    """Turn flattened spectrograms into pictures, by their logarithm and standardised if asked for.

    Both steps see one sample at a time, so that nothing is learnt from the test part.

    Args:
        n_frequencies: Rows of each spectrogram, the lowest frequency first; its columns are what remains.
        log: Take the logarithm to base 10, of no less than 1e-12 of the picture's largest power. False where the table
            holds logarithms already, or for powers as they are.
        standardize: Subtract each picture's mean and divide by its standard deviation.
        sampling_rate: Nothing depends on it; all front ends are built alike.

    Shapes:
        ``forward``: (B, C, F * W) -> (B, C, F, W).
    """

    fitted = True
    frequencies = None  # the table does not say them

    def __init__(
        self, n_frequencies: int = 65, log: bool = True, standardize: bool = True, sampling_rate: float = 1.0
    ) -> None:
        super().__init__()
        if n_frequencies < 1:
            raise ValueError(f"n_frequencies is {n_frequencies}, and a picture has 1 row or more")
        self.n_frequencies, self.log, self.standardize = int(n_frequencies), bool(log), bool(standardize)
        self.sampling_rate = float(sampling_rate)

    def extra_repr(self) -> str:
        """Say the parameters, for ``print``."""
        return f"n_frequencies={self.n_frequencies}, log={self.log}, standardize={self.standardize}"

    def n_columns(self, n_samples: int) -> int:
        """Return the width of the picture."""
        return n_samples // self.n_frequencies

    def fit(self, batches: Iterable[Tensor]) -> MatrixFrontEnd:
        """Do nothing: nothing here depends on the data set."""
        return self

    def check(self, x: Tensor, of_encoder: bool = False) -> str | None:
        """Return a one-line warning where spectrograms (B, C, F * W) do not suit the settings, else None."""
        if self.log and (x < 0).any():
            return "the spectrograms hold values below zero, as logarithms do; set front_end.log=false"
        return None

    def picture(self, x: Tensor) -> WholeView:
        """Return the pictures of flattened spectrograms (B, C, F * W) as a view."""
        if x.shape[-1] % self.n_frequencies:
            raise UserError(
                f"front_end.n_frequencies: {x.shape[-1]} numbers do not make {self.n_frequencies} rows; "
                "set it to nfft // 2 + 1"
            )
        if self.log:
            floor = (x.amax(-1, keepdim=True) * DEEPEST).clamp_min(torch.finfo(x.dtype).tiny)
            x = torch.log10(torch.maximum(x, floor))
        if self.standardize:
            spread = x.std(-1, keepdim=True, correction=0)
            x = torch.where(spread > 0, (x - x.mean(-1, keepdim=True)) / spread.clamp_min(1e-30), 0.0)
        return MatrixPicture(x.unflatten(-1, (self.n_frequencies, -1)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the pictures, (B, C, F, W)."""
        return self.picture(x).full()


class MatrixPicture(WaveformPicture):
    """Pictures as they are, (B, C, F, W)."""

    recipe = "columns of the table's spectrograms"

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.values.shape[-1]

    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``width`` columns from ``start`` (B,) on, (B, C, F, width)."""
        columns = start[:, None] + torch.arange(width, device=start.device)
        return self.values.gather(-1, columns[:, None, None, :].expand(-1, *self.values.shape[1:3], -1))

    def select(self, channel: int | Tensor) -> MatrixPicture:
        """Return one picture per sample: the same of all, or one for each (B,). The channel axis stays."""
        if isinstance(channel, Tensor):
            return MatrixPicture(self.values[torch.arange(len(self.values)), channel].unsqueeze(1))
        return MatrixPicture(self.values[:, channel : channel + 1])

    def scale(self, factor: Tensor) -> MatrixPicture:
        """Return the pictures multiplied by a factor per sample, (B,)."""
        return MatrixPicture(self.values * factor.to(self.values.dtype)[:, None, None, None])
