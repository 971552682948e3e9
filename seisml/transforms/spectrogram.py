"""Spectrograms as the first part of a network: checkpoints take waveforms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import scipy.signal
import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.noise_floor import LogHistogram
from seisml.transforms.picture import Picture


class SpectrogramFrontEnd(nn.Module):
    """Waveforms to scaled, resized spectrograms, batched, on the device of the waveforms, with the numbers of SciPy.

    Order: spectrogram, log10(S + floor), scaling over the whole trace, frequency cut (of the spectrogram), bilinear resize; crops are
    cut from the resized picture (:class:`~seisml.transforms.picture.Picture`).

    Args:
        nperseg: Samples per segment.
        noverlap: Samples by which segments overlap; None: ``nperseg // 8``.
        nfft: Length of the Fourier transform; None: ``nperseg``.
        size: (F, W) of the resized picture; None: as the spectrogram comes.
        floor: Added to the power before the logarithm, in (unit of the waveform)^2 / Hz. 1 suits raw counts only; ``"auto"`` takes
            it from the training data (:meth:`fit`) and keeps it in the state dict.
        normalize: Divide each trace by its standard deviation (``"std"``) or its largest absolute value (``"peak"``) first, both after
            removal of the mean; None leaves the unit alone.
        fmin: Lowest frequency kept, in Hz.
        fmax: Highest frequency kept, in Hz.
        sampling_rate: Of the waveforms, in Hz.
        window: What ``scipy.signal.get_window`` takes.
        detrend: ``"constant"``, ``"linear"`` or False, per segment.
        scale: ``"minmax"`` to [0, 1] per trace, or (mean, std) to standardise log10(S + floor) with numbers of the whole data set.

    Shapes:
        ``forward``: (B, C, T) -> (B, C, F, W).

    Raises:
        UserError: Parameters that contradict each other; waveforms shorter than ``nperseg``; a floor that is not set yet.
    """

    def __init__(
        self,
        nperseg: int = 80,
        noverlap: int | None = None,
        nfft: int | None = None,
        size: tuple[int, int] | None = (128, 711),
        floor: float | Literal["auto"] = "auto",
        normalize: Literal["std", "peak"] | None = None,
        fmin: float | None = None,
        fmax: float | None = None,
        sampling_rate: float = 1.0,
        window: str | tuple = ("tukey", 0.25),
        detrend: Literal["constant", "linear", False] = "constant",
        scale: Literal["minmax"] | tuple[float, float] = "minmax",
    ):
        super().__init__()
        self.nperseg = int(nperseg)
        self.noverlap = self.nperseg // 8 if noverlap is None else int(noverlap)
        self.nfft = self.nperseg if nfft is None else int(nfft)
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.normalize = normalize
        self.fmin, self.fmax = fmin, fmax
        self.sampling_rate = float(sampling_rate)
        self.window = tuple(window) if isinstance(window, list | tuple) else window
        self.detrend = detrend
        self.scale = scale if isinstance(scale, str) else (float(scale[0]), float(scale[1]))
        self._check_arguments()
        frequency = np.fft.rfftfreq(self.nfft, 1 / self.sampling_rate)
        kept = np.flatnonzero((frequency >= (fmin or 0.0)) & (frequency <= (math.inf if fmax is None else fmax)))
        if not len(kept):
            raise UserError(
                f"front_end.fmin, front_end.fmax: no frequency of the spectrogram lies in [{fmin}, {fmax}] Hz; "
                f"its frequencies are {frequency[1]:g} Hz apart up to {frequency[-1]:g} Hz"
            )
        self.frequencies: tuple[float, ...] = tuple(frequency[kept].tolist())  # Hz
        self._bins = slice(int(kept[0]), int(kept[-1]) + 1)
        self.auto_floor = floor == "auto"
        self.register_buffer("floor", torch.tensor(math.nan if self.auto_floor else float(floor), dtype=torch.float32))
        self.fitted = not self.auto_floor
        self._cache: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def _check_arguments(self) -> None:
        if self.nperseg < 2:
            raise UserError(f"front_end.nperseg: {self.nperseg} is too short; use at least 2 samples")
        if not 0 <= self.noverlap < self.nperseg:
            raise UserError(
                f"front_end.noverlap: {self.noverlap} must be at least 0 and below nperseg ({self.nperseg})"
            )
        if self.nfft < self.nperseg:
            raise UserError(f"front_end.nfft: {self.nfft} must not be below nperseg ({self.nperseg})")
        if self.normalize not in (None, "std", "peak"):
            raise UserError(f"front_end.normalize: {self.normalize!r} is unknown; choose std, peak or null")
        if self.detrend not in ("constant", "linear", False):
            raise UserError(f"front_end.detrend: {self.detrend!r} is unknown; choose constant, linear or false")
        if isinstance(self.scale, str) and self.scale != "minmax":
            raise UserError(f"front_end.scale: {self.scale!r} is unknown; choose minmax or [mean, std]")

    def extra_repr(self) -> str:
        """Say what distinguishes this front end, for ``print``."""
        floor = f"{float(self.floor):.3g}" if self.fitted else "auto, not fitted"
        return f"nperseg={self.nperseg}, noverlap={self.noverlap}, nfft={self.nfft}, size={self.size}, floor={floor}"

    @property
    def recipe(self) -> str:
        """The spectrogram parameters in words, for messages."""
        return f"nperseg={self.nperseg}, noverlap={self.noverlap}"

    def n_source_columns(self, n_samples: int) -> int:
        """Return the number of spectrogram columns, before resizing, for a waveform of ``n_samples``."""
        return max(0, (n_samples - self.noverlap) // (self.nperseg - self.noverlap))

    def n_columns(self, n_samples: int) -> int:
        """Return the width of the picture for a waveform of ``n_samples``."""
        return self.n_source_columns(n_samples) if self.size is None else self.size[1]

    def picture_size(self, n_samples: int) -> tuple[int, int]:
        """Return (F, W) of the picture for a waveform of ``n_samples``."""
        return (len(self.frequencies), self.n_source_columns(n_samples)) if self.size is None else self.size

    # -- state ---------------------------------------------------------------------------------------------------------------

    def _apply(self, fn, recurse: bool = True):
        floor = self.floor
        super()._apply(fn, recurse)
        self.floor = floor.to(self.floor.device)  # half precision would round 1e-11 to 0
        return self

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.fitted = not bool(torch.isnan(self.floor))

    def fit(self, batches: Iterable[Tensor]) -> SpectrogramFrontEnd:
        """Set the floor from training data, where ``floor="auto"``; otherwise do nothing.

        Args:
            batches: Waveforms (B, C, T), any number of batches; memory does not grow with their number.

        Returns:
            Itself.
        """
        if not self.auto_floor:
            return self
        histogram = LogHistogram()
        with torch.no_grad():
            for x in batches:
                histogram.add(self._power(self._prepare(x)))
        self.floor.fill_(histogram.floor())
        self.fitted = True
        return self

    def check(self, x: Tensor) -> str | None:
        """Return a one-line warning where this data and this floor make poor pictures, else None.

        Args:
            x: Waveforms, (B, C, T); a batch or two of training data is enough.
        """
        with torch.no_grad():
            power = self._power(self._prepare(x)).flatten(2)
        finite = torch.isfinite(power).all(dim=-1)
        if not finite.all():
            return f"{int((~finite).sum())} of {finite.numel()} traces hold NaN or infinite samples and count as dead"
        below = float((power[power > 0] < 0.1 * self.floor).float().mean())
        if below > 0.9:
            return (
                f"front_end.floor={float(self.floor):.3g} hides this data: {below:.0%} of the spectrogram lies below a "
                "tenth of it, so pictures are blank or linear; set front_end.floor=auto"
            )
        return None

    # -- computation ---------------------------------------------------------------------------------------------------------

    def _window(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the window, scaled so that squared transforms are densities."""
        key = (dtype, device)
        if key not in self._cache:
            with torch.inference_mode(False):  # else training could not use what validation has cached
                window = scipy.signal.get_window(self.window, self.nperseg)
                window = window / math.sqrt(self.sampling_rate * (window**2).sum())
                self._cache[key] = torch.as_tensor(window).to(dtype).to(device)
        return self._cache[key]

    def _prepare(self, x: Tensor) -> Tensor:
        if x.ndim != 3:
            raise ValueError(f"expected waveforms (batch, channels, samples), got shape {tuple(x.shape)}")
        if x.shape[-1] < self.nperseg:
            raise UserError(
                f"front_end.nperseg: waveforms have {x.shape[-1]} samples, fewer than nperseg={self.nperseg}; "
                f"set front_end.nperseg to at most {x.shape[-1]}"
            )
        x = x if x.dtype == torch.float64 else x.to(torch.float32)
        x = x - x[..., :1]  # a constant trace becomes exactly zero, and a large offset costs no precision
        if self.normalize is None:
            return x
        x = x - x.mean(dim=-1, keepdim=True)
        size = x.std(dim=-1, keepdim=True) if self.normalize == "std" else x.abs().amax(dim=-1, keepdim=True)
        return x / torch.where(size > 0, size, 1.0)

    def _power(self, x: Tensor) -> Tensor:
        """Return the spectrogram with columns first: (B, C, T) -> (B, C, w, f)."""
        with torch.autocast(x.device.type, enabled=False):
            frames = x.unfold(-1, self.nperseg, self.nperseg - self.noverlap)  # (B, C, w, nperseg)
            if self.detrend:
                frames = frames - frames.mean(dim=-1, keepdim=True)
            if self.detrend == "linear":
                ramp = torch.linspace(-1.0, 1.0, self.nperseg, dtype=x.dtype, device=x.device)
                ramp = ramp / ramp.norm()
                frames = frames - (frames * ramp).sum(dim=-1, keepdim=True) * ramp
            spectrum = torch.fft.rfft(frames * self._window(x.dtype, x.device), n=self.nfft)
            spectrum = torch.view_as_real(spectrum)
            power = spectrum.square().sum(dim=-1)
            doubled = torch.full((power.shape[-1],), 2.0, dtype=power.dtype, device=power.device)
            doubled[0] = 1.0
            if self.nfft % 2 == 0:
                doubled[-1] = 1.0
            return (power * doubled)[..., self._bins].contiguous()

    def spectrogram(self, x: Tensor) -> Tensor:
        """Return the power spectral density, (B, C, T) -> (B, C, f, w): ``scipy.signal.spectrogram`` with the same parameters."""
        return self._power(self._prepare(x)).transpose(2, 3)

    def picture(self, x: Tensor) -> Picture:
        """Return the scaled spectrograms of (B, C, T), resized on demand."""
        if not self.fitted:
            raise UserError(
                "front_end.floor: 'auto' is not fitted yet; call fit() on training data or set front_end.floor to a number"
            )
        power = self._power(self._prepare(x))
        with torch.autocast(x.device.type, enabled=False):
            floor = self.floor.to(power.dtype)
            flat = power.flatten(2)
            low, high = torch.log10(flat.amin(2) + floor), torch.log10(flat.amax(2) + floor)
            live = torch.isfinite(high) & torch.isfinite(low) & (high > low)
            if self.scale == "minmax":
                offset, gain = low, torch.where(live, high - low, 1.0).reciprocal() * live
            else:
                offset = torch.full_like(low, self.scale[0])
                gain = live / self.scale[1]
            return Picture(power, floor, offset[..., None, None], gain[..., None, None], self.size, self.recipe)

    def normalized(self, x: Tensor) -> Tensor:
        """Return the scaled spectrograms before resizing, (B, C, f, w); all zeros for a dead trace or one with NaN."""
        return self.picture(x).values

    def forward(self, x: Tensor) -> Tensor:
        """Return the whole pictures, (B, C, T) -> (B, C, F, W)."""
        return self.picture(x).full()
