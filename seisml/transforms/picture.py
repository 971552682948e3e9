"""Pictures of waveforms that are resized only where somebody looks."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def bilinear_taps(n_in: int, n_out: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two source indices (n_out,) and the weight (n_out,) of the second for linear resizing of one axis.

    Half-pixel centres, edges repeated, no antialiasing: ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``,
    with positions worked out in float64.
    """
    with torch.inference_mode(False):  # cached tensors made in inference mode could not be used in training later
        position = ((torch.arange(n_out, dtype=torch.float64) + 0.5) * (n_in / n_out) - 0.5).clamp_(0.0, n_in - 1.0)
        left = position.floor().to(torch.int64)
        right = (left + 1).clamp_(max=n_in - 1)
        weight = (position - left).to(dtype)
        return left.to(device), right.to(device), weight.to(device)


def _take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Take rows (B, n) of each sample: (B, C, W, F) -> (B, C, n, F)."""
    b, c, w, f = x.shape
    base = torch.arange(b * c, device=x.device).view(b, c, 1) * w
    flat = (base + rows[:, None, :]).reshape(-1)
    return x.reshape(b * c * w, f).index_select(0, flat).view(b, c, rows.shape[1], f)


class Picture:
    """The spectrograms of a batch, scaled and resized on demand.

    Training looks at a tenth of the resized picture, so what stands here is the power; logarithm, scaling and resizing happen for the
    columns asked for. The order of the operations is unchanged: logarithm, scaling by the whole trace's extremes, resize, crop.

    Args:
        power: Power per column and frequency, (B, C, w, f), contiguous.
        floor: Added to the power before the logarithm; broadcasts to ``power``.
        offset: Subtracted from the logarithm, (B, C, 1, 1).
        gain: Multiplied after that, (B, C, 1, 1); the picture of a trace whose gain is 0 is all zeros, whatever its power.
        size: (F, W) to resize to; None keeps (f, w).
        recipe: How the picture came about, for error messages.
    """

    def __init__(
        self, power: Tensor, floor: Tensor, offset: Tensor, gain: Tensor, size: tuple[int, int] | None, recipe: str = ""
    ):
        self._power, self._floor, self._offset, self._gain = power, floor, offset, gain
        self.size = tuple(size) if size is not None else (power.shape[3], power.shape[2])
        self.recipe = recipe

    def __repr__(self) -> str:
        b, c, w, f = self._power.shape
        return f"Picture({b} x {c} traces, {f} x {w} resized to {self.size[0]} x {self.size[1]})"

    @property
    def width(self) -> int:
        """Number of columns after resizing."""
        return self.size[1]

    @property
    def source_width(self) -> int:
        """Number of columns before resizing: what the spectrogram really resolves."""
        return self._power.shape[2]

    @property
    def channels(self) -> int:
        """Number of traces per sample."""
        return self._power.shape[1]

    def _scaled(self, power: Tensor) -> Tensor:
        values = (torch.log10(power + self._floor) - self._offset) * self._gain
        return torch.where(self._gain == 0, 0.0, values)  # also where the power is not finite

    @property
    def values(self) -> Tensor:
        """The scaled spectrogram before resizing, (B, C, f, w)."""
        return self._scaled(self._power).transpose(2, 3)

    def full(self) -> Tensor:
        """Return the whole resized picture, (B, C, F, W)."""
        left, right, weight = bilinear_taps(self.source_width, self.width, self._power.dtype, self._power.device)
        columns = self._scaled(self._power)
        if self.width != self.source_width:
            columns = torch.lerp(columns.index_select(2, left), columns.index_select(2, right), weight[:, None])
        return self._resize_frequencies(columns)

    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``full()[..., start : start + width]`` with a start of its own for each sample, computing only that.

        Args:
            start: First column in the resized picture, (B,) int64, 0 <= start <= width of the picture - width.
            width: How many columns.

        Returns:
            (B, C, F, width).
        """
        left, right, weight = bilinear_taps(self.source_width, self.width, self._power.dtype, self._power.device)
        out = start[:, None] + torch.arange(width, device=start.device)  # (B, width)
        left, right, weight = left[out], right[out], weight[out]
        n = min(self.source_width, math.ceil(width * self.source_width / self.width) + 2)
        first = left[:, :1].clamp(max=self.source_width - n)
        slab = self._scaled(_take_rows(self._power, first + torch.arange(n, device=start.device)))
        columns = torch.lerp(_take_rows(slab, left - first), _take_rows(slab, right - first), weight[:, None, :, None])
        return self._resize_frequencies(columns)

    def _resize_frequencies(self, columns: Tensor) -> Tensor:
        """(B, C, w, f) -> (B, C, F, w)."""
        rows = columns.transpose(2, 3)
        n_in, n_out = rows.shape[2], self.size[0]
        if n_in == n_out:
            return rows.contiguous()
        left, right, weight = bilinear_taps(n_in, n_out, rows.dtype, rows.device)
        return torch.lerp(rows.index_select(2, left), rows.index_select(2, right), weight[:, None])

    def select(self, channel: int | Tensor) -> Picture:
        """Return the picture of one trace per sample (it keeps the channel axis).

        Args:
            channel: The same trace for all samples, or one per sample (B,) int64.
        """
        b = self._power.shape[0]

        def pick(x: Tensor) -> Tensor:
            if x.ndim < 4 or x.shape[1] == 1 < self.channels:
                return x
            if isinstance(channel, int):
                return x[:, channel].unsqueeze(1)
            return x[torch.arange(b, device=x.device), channel].unsqueeze(1)

        return Picture(*map(pick, (self._power, self._floor, self._offset, self._gain)), self.size, self.recipe)

    def __mul__(self, factor: Tensor) -> Picture:
        """Return the picture with its values multiplied by a factor that broadcasts to (B, C, 1, 1)."""
        return Picture(self._power, self._floor, self._offset, self._gain * factor, self.size, self.recipe)


class WaveformPicture:
    """Waveforms with the interface of :class:`Picture`, for one-dimensional networks.

    Args:
        values: (B, C, T).
        recipe: How the values came about, for error messages.
    """

    def __init__(self, values: Tensor, recipe: str = ""):
        self.values = values
        self.recipe = recipe

    def __repr__(self) -> str:
        return f"WaveformPicture({tuple(self.values.shape)})"

    @property
    def width(self) -> int:
        """Number of samples."""
        return self.values.shape[2]

    source_width = width

    @property
    def channels(self) -> int:
        """Number of traces per sample."""
        return self.values.shape[1]

    def full(self) -> Tensor:
        """Return the whole waveforms, (B, C, T)."""
        return self.values

    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``width`` samples from ``start`` (B,) on: (B, C, width)."""
        samples = start[:, None] + torch.arange(width, device=start.device)
        return self.values.gather(2, samples[:, None, :].expand(-1, self.channels, -1))

    def select(self, channel: int | Tensor) -> WaveformPicture:
        """Return one trace per sample: the same for all of them, or one each (B,)."""
        if isinstance(channel, int):
            return WaveformPicture(self.values[:, channel].unsqueeze(1), self.recipe)
        rows = torch.arange(self.values.shape[0], device=self.values.device)
        return WaveformPicture(self.values[rows, channel].unsqueeze(1), self.recipe)

    def __mul__(self, factor: Tensor) -> WaveformPicture:
        """Multiply by a factor that broadcasts to (B, C, 1)."""
        return WaveformPicture(self.values * factor.reshape(*factor.shape[:2], 1), self.recipe)
