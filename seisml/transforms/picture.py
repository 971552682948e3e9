"""Pictures of waveforms that are computed only where somebody looks."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from seisml.transforms.blocks import in_blocks
from seisml.transforms.views import WholeView


@lru_cache(maxsize=64)
def bilinear_taps(n_in: int, n_out: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return what linear resizing of one axis takes: left and right source index, and the weight of the right one.

    Half-pixel centres, edges repeated, no antialiasing, as in
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``; positions are worked out in float64.

    Returns:
        Three tensors (n_out,): int64, int64, ``dtype``. They are shared between callers: do not write to them.
    """
    with torch.inference_mode(False):  # else training could not use what validation has left here
        position = ((torch.arange(n_out, dtype=torch.float64) + 0.5) * (n_in / n_out) - 0.5).clamp_(0.0, n_in - 1.0)
        left = position.floor().to(torch.int64)
        right = (left + 1).clamp_(max=n_in - 1)
        return left.to(device), right.to(device), (position - left).to(dtype).to(device)


def _interpolate(x: Tensor, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """Interpolate between rows: (N, n, m) and taps (1 or N, k) -> (N, k, m).

    Whole rows are copied, which is several times faster on CPUs than selecting along an inner axis.
    """
    n_rows = x.shape[1]
    base = torch.arange(x.shape[0], device=x.device)[:, None] * n_rows
    rows = x.reshape(-1, x.shape[2])
    low, high = (
        rows.index_select(0, (base + tap).reshape(-1)).view(x.shape[0], -1, x.shape[2]) for tap in (left, right)
    )
    return low.lerp_(high, weight[..., None])


def _resize(x: Tensor, n_out: int) -> Tensor:
    """Resize the second-last axis linearly: (B, C, n, m) -> (B, C, n_out, m)."""
    if x.shape[2] == n_out:
        return x
    taps = bilinear_taps(x.shape[2], n_out, x.dtype, x.device)
    return _interpolate(x.flatten(0, 1), *(tap[None] for tap in taps)).view(*x.shape[:2], n_out, -1)


def _take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """Take other columns from each sample: (B, C, w, f), (B, n) -> (B, C, n, f). ``x`` is not copied first."""
    b, c = x.shape[:2]
    sample, trace = torch.arange(b, device=x.device), torch.arange(c, device=x.device)
    return x[sample[:, None, None], trace[None, :, None], columns[:, None, :]]


class Picture(WholeView):
    """The spectrograms of a batch, scaled and resized on demand.

    Training looks at a tenth of a picture, so the power is kept as it came, and only the columns asked for go through
    logarithm, scaling and resizing. The result is that of scaling and resizing the whole picture and then cropping.

    Args:
        power: Power per column and frequency, (B, C, w, f).
        floor: Added to the power before the logarithm, one number.
        offset: Subtracted from the logarithm, (B, C).
        gain: Multiplied after that, (B, C). Where it is 0 the picture is all zeros, whatever the power.
        size: (F, W) to resize to; None keeps (f, w).
        recipe: How the columns came about, for error messages.
    """

    def __init__(
        self, power: Tensor, floor: Tensor, offset: Tensor, gain: Tensor, size: tuple[int, int] | None, recipe: str
    ):
        self._power, self._floor, self._offset, self._gain = power, floor, offset, gain
        self.size = (power.shape[3], power.shape[2]) if size is None else tuple(size)
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
        """Number of columns before resizing: what the spectrogram resolves."""
        return self._power.shape[2]

    @property
    def channels(self) -> int:
        """Number of traces per sample."""
        return self._power.shape[1]

    def _scaled(self, power: Tensor, block: slice = slice(None)) -> Tensor:
        offset, gain = self._offset[block, :, None, None], self._gain[block, :, None, None]
        values = (torch.log10(power + self._floor) - offset) * gain
        return torch.where(gain == 0, 0.0, values)  # NaN * 0 would be NaN

    @property
    def values(self) -> Tensor:
        """The scaled spectrograms before resizing, (B, C, f, w)."""
        return self._scaled(self._power).transpose(2, 3)

    def full(self) -> Tensor:
        """Return the whole resized pictures, (B, C, F, W)."""

        def resized(block: slice) -> Tensor:
            columns = _resize(self._scaled(self._power[block], block), self.size[1])
            return _resize(columns.transpose(2, 3), self.size[0]).contiguous()

        return in_blocks(resized, self._power, self.channels * self.size[0] * self.size[1])

    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``full()[..., start : start + width]``, with a start for each sample, computing only that.

        Args:
            start: First column in the resized picture, (B,) int64, from 0 to the picture's width - ``width``.
            width: How many columns.

        Returns:
            (B, C, F, width).
        """
        n_in, n_out = self.source_width, self.width
        wanted = start[:, None] + torch.arange(width, device=start.device)  # (B, width)
        left, right, weight = (taps[wanted] for taps in bilinear_taps(n_in, n_out, self._power.dtype, start.device))
        n = min(n_in, math.ceil(width * n_in / n_out) + 2)  # source columns that hold both taps of all wanted ones
        first = left[:, :1].clamp(max=n_in - n)
        strip = self._scaled(_take_columns(self._power, first + torch.arange(n, device=start.device)))
        taps = (tap.repeat_interleave(self.channels, 0) for tap in (left - first, right - first, weight))
        columns = _interpolate(strip.flatten(0, 1), *taps).view(*strip.shape[:2], width, -1)  # (B, C, width, f)
        return _resize(columns.transpose(2, 3), self.size[0]).contiguous()

    def select(self, channel: int | Tensor) -> Picture:
        """Return the pictures of one trace per sample; the channel axis stays.

        Args:
            channel: The same trace of all samples, or one for each, (B,) int64.
        """
        power, offset, gain = (_select(part, channel) for part in (self._power, self._offset, self._gain))
        return Picture(power, self._floor, offset, gain, self.size, self.recipe)

    def scale(self, factor: Tensor) -> Picture:
        """Return the pictures with their values multiplied by a factor per sample, (B,)."""
        gain = self._gain * factor.to(self._gain.dtype)[:, None]
        return Picture(self._power, self._floor, self._offset, gain, self.size, self.recipe)


class WaveformPicture(WholeView):
    """Waveforms, for one-dimensional networks.

    Args:
        values: (B, C, T).
    """

    recipe = "samples of the waveform"

    def __init__(self, values: Tensor):
        self.values = values

    def __repr__(self) -> str:
        return f"WaveformPicture({' x '.join(map(str, self.values.shape))})"

    @property
    def width(self) -> int:
        """Number of samples."""
        return self.values.shape[2]

    @property
    def source_width(self) -> int:
        """Number of samples."""
        return self.width

    @property
    def channels(self) -> int:
        """Number of traces per sample."""
        return self.values.shape[1]

    def full(self) -> Tensor:
        """Return the whole waveforms, (B, C, T)."""
        return self.values

    def columns(self, start: Tensor, width: int) -> Tensor:
        """Return ``width`` samples from ``start`` (B,) on, (B, C, width)."""
        samples = start[:, None] + torch.arange(width, device=start.device)
        return self.values.gather(2, samples[:, None, :].expand(-1, self.channels, -1))

    def select(self, channel: int | Tensor) -> WaveformPicture:
        """Return one trace per sample: the same of all, or one for each (B,). The channel axis stays."""
        return WaveformPicture(_select(self.values, channel))

    def scale(self, factor: Tensor) -> WaveformPicture:
        """Return the waveforms multiplied by a factor per sample, (B,)."""
        return WaveformPicture(self.values * factor.to(self.values.dtype)[:, None, None])


def _select(x: Tensor, channel: int | Tensor) -> Tensor:
    """(B, C, ...) -> (B, 1, ...): a view for one channel number, a copy for one per sample."""
    if isinstance(channel, Tensor):
        return x[torch.arange(x.shape[0], device=x.device), channel].unsqueeze(1)
    return x.select(1, channel).unsqueeze(1)
