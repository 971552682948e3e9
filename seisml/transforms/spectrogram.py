"""Spectrograms as the first part of a network: checkpoints take waveforms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import scipy.signal
import torch
from torch import Tensor, nn

from seisml.errors import UserError
from seisml.transforms.amplitude import check_normalize, normalized
from seisml.transforms.blocks import in_blocks
from seisml.transforms.noise_floor import data_floor
from seisml.transforms.picture import Picture

LONGEST = 2**20  # samples of a Fourier transform
MOST_PIXELS = 2**24  # of a picture


class SpectrogramFrontEnd(nn.Module):
    """Waveforms to scaled, resized spectrograms: batched, on the device of the waveforms, with the numbers of SciPy.

    Order: power spectral density, frequency cut, log10(S + floor), scaling over the whole trace, bilinear resize.
    Crops are cut from the resized picture (:class:`~seisml.transforms.picture.Picture`).

    Args:
        nperseg: Samples per segment.
        noverlap: Samples by which segments overlap; None: ``nperseg // 8``.
        nfft: Length of the Fourier transform; None: ``nperseg``.
        size: (F, W) of the resized picture; None: as the spectrogram comes.
        floor: Added to the power before the logarithm, in (unit of the waveform)^2 / Hz. 1 suits raw counts only.
            ``"auto"`` takes it from the training data (:meth:`fit`) and keeps it in the state dict.
        normalize: Remove each trace's mean and divide by its standard deviation (``"std"``) or its largest absolute
            value (``"peak"``) first; None leaves the unit alone.
        fmin: Lowest frequency kept, in Hz.
        fmax: Highest frequency kept, in Hz.
        sampling_rate: Of the waveforms, in Hz.
        window: What ``scipy.signal.get_window`` takes.
        detrend: ``"constant"``, ``"linear"`` or False, for each segment.
        scale: ``"minmax"`` to [0, 1] per trace, or (mean, std) of log10(S + floor) over a data set, to standardise by
            them. (Numbers given for a natural logarithm: divide them by 2.3026.)

    Shapes:
        ``forward``: (B, C, T) -> (B, C, F, W). A trace that is dead or holds a non-finite sample gives zeros.

    Raises:
        UserError: Parameters that make no sense; waveforms shorter than ``nperseg``; a floor that is not set yet.

    Example:
        >>> front_end = SpectrogramFrontEnd(floor=1.0, sampling_rate=1000.0)
        >>> front_end(torch.randn(2, 1, 16000)).shape
        torch.Size([2, 1, 128, 711])
    """

    def __init__(
        self,
        nperseg: int = 80,
        noverlap: int | None = None,
        nfft: int | None = None,
        size: Sequence[int] | None = (128, 711),
        floor: float | Literal["auto"] = "auto",
        normalize: Literal["std", "peak"] | None = None,
        fmin: float | None = None,
        fmax: float | None = None,
        sampling_rate: float = 1.0,
        window: str | float | Sequence = ("tukey", 0.25),
        detrend: Literal["constant", "linear", False] = "constant",
        scale: Literal["minmax"] | Sequence[float] = "minmax",
    ):
        super().__init__()
        self.nperseg = int(nperseg)
        self.noverlap = self.nperseg // 8 if noverlap is None else int(noverlap)
        self.nfft = self.nperseg if nfft is None else int(nfft)
        self.size = None if size is None else tuple(int(n) for n in size)
        self.normalize = normalize
        self.sampling_rate = float(sampling_rate)
        self.window = window if isinstance(window, str | float | int) else tuple(window)
        self.detrend = detrend
        self.scale = scale if isinstance(scale, str) else tuple(float(number) for number in scale)
        self._check_arguments(floor)
        self._bins = self._kept_bins(fmin, fmax)
        frequencies = np.fft.rfftfreq(self.nfft, 1 / self.sampling_rate)[self._bins]
        self.frequencies: tuple[float, ...] = tuple(frequencies.tolist())  # of the picture before resizing, in Hz
        self._windows: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        value = math.nan if floor == "auto" else float(floor)
        self.register_buffer("floor", torch.tensor(value, dtype=torch.float32))
        self.fitted = not math.isnan(value)  # beside the buffer, so that asking does not wait for the device

    def _check_arguments(self, floor: float | str) -> None:
        problems = {
            "nperseg": (self.nperseg >= 2, "must be at least 2"),
            "noverlap": (0 <= self.noverlap < self.nperseg, f"must be at least 0 and below nperseg ({self.nperseg})"),
            "nfft": (
                self.nperseg <= self.nfft <= LONGEST,
                f"must be at least nperseg ({self.nperseg}) and at most {LONGEST}",
            ),
            "size": (
                self.size is None
                or (len(self.size) == 2 and min(self.size) >= 1 and math.prod(self.size) <= MOST_PIXELS),
                f"must be [F, W] of 1 or more and {MOST_PIXELS} pixels at most, or null",
            ),
            "sampling_rate": (self.sampling_rate > 0, "must be above 0"),
            "detrend": (self.detrend in ("constant", "linear", False), "must be constant, linear or false"),
            "scale": (
                self.scale == "minmax"
                or (isinstance(self.scale, tuple) and len(self.scale) == 2 and self.scale[1] > 0),
                "must be minmax or [mean, std] with std above 0",
            ),
        }
        for key, (valid, cure) in problems.items():
            if not valid:
                raise UserError(f"front_end.{key}: {getattr(self, key)!r} {cure}")
        check_normalize(self.normalize)
        try:
            usable = floor == "auto" or 0 < float(floor) < math.inf
        except (TypeError, ValueError):
            usable = False
        if not usable:
            raise UserError(f"front_end.floor: {floor!r} must be auto or a number above 0")
        try:
            scipy.signal.get_window(self.window, self.nperseg)
        except ValueError as error:
            raise UserError(f"front_end.window: {error}; see scipy.signal.get_window for the names") from None

    def _kept_bins(self, fmin: float | None, fmax: float | None) -> slice:
        frequency = np.fft.rfftfreq(self.nfft, 1 / self.sampling_rate)
        low, high = 0.0 if fmin is None else fmin, math.inf if fmax is None else fmax
        kept = np.flatnonzero((frequency >= low) & (frequency <= high))
        if not len(kept):
            raise UserError(
                f"front_end.fmin, front_end.fmax: no frequency of the spectrogram lies in [{low:g}, {high:g}] Hz; "
                f"they are {frequency[1]:g} Hz apart and end at {frequency[-1]:g} Hz"
            )
        return slice(int(kept[0]), int(kept[-1]) + 1)

    def extra_repr(self) -> str:
        """Say what distinguishes this front end, for ``print``."""
        floor = f"{float(self.floor):.3g}" if self.fitted else "auto (not fitted)"
        return f"{self.recipe}, nfft={self.nfft}, size={self.size}, floor={floor}, normalize={self.normalize}"

    @property
    def recipe(self) -> str:
        """The segmentation in words, for messages."""
        return f"nperseg={self.nperseg}, noverlap={self.noverlap}"

    def n_source_columns(self, n_samples: int) -> int:
        """Return the number of spectrogram columns before resizing, for waveforms of ``n_samples``."""
        return max(0, (n_samples - self.noverlap) // (self.nperseg - self.noverlap))

    def _apply(self, fn, recurse: bool = True):
        floor = self.floor
        super()._apply(fn, recurse)
        self.floor = floor.to(self.floor.device)  # half precision would make 1e-11 zero
        return self

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.fitted = not bool(torch.isnan(self.floor))

    def fit(self, batches: Iterable[Tensor]) -> SpectrogramFrontEnd:
        """Set the floor from training data; do nothing where it is a number, or was fitted or loaded before.

        The floor becomes the median over traces of the lower quartile of their spectrograms
        (:func:`~seisml.transforms.noise_floor.data_floor`). A few hundred records are enough.

        Args:
            batches: Waveforms (B, C, T), one batch at a time.

        Returns:
            Itself.
        """
        if not self.fitted:
            with torch.no_grad():
                self.floor.fill_(data_floor(self._power(self._prepare(x)) for x in batches))
            self.fitted = True
        return self

    def check(self, x: Tensor, of_encoder: bool = False) -> str | None:
        """Return a one-line warning where this data and this floor make poor pictures, else None.

        Args:
            x: Waveforms, (B, C, T): a batch or two of training data.
            of_encoder: Whether a pretrained encoder brought this front end: its settings then stay as they are.
        """
        with torch.no_grad():
            power = self._power(self._prepare(x)).flatten(2)
        finite = torch.isfinite(power).all(dim=-1)
        if not finite.all():
            return f"{int((~finite).sum())} of {finite.numel()} traces hold NaN or infinite samples and count as dead"
        live = (power > 0).any(dim=-1)
        hidden = float(((power < 0.1 * self.floor).float().mean(dim=-1)[live] > 0.9).float().mean())
        if not hidden > 0.1:  # nor where no trace is live
            return None
        cure = "set front_end.floor=auto where it is a number, normalize=std where records differ in unit"
        if of_encoder:
            cure = (
                "the encoder was trained with it, on records of other amplitudes: prepare these in the unit of those, "
                "or pretrain an encoder on records like these"
            )
        return (
            f"front_end.floor: {float(self.floor):.3g} hides {hidden:.0%} of the traces, their pictures are blank or "
            f"linear; {cure}"
        )

    def _window(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the window, scaled so that squared one-sided transforms are densities; kept for the next call.

        It is not a buffer: casting a model to half precision must not touch it.
        """
        key = (dtype, device)
        if key not in self._windows:
            with torch.inference_mode(False):  # else training could not use what validation has left here
                window = scipy.signal.get_window(self.window, self.nperseg)
                window = window * math.sqrt(2.0 / (self.sampling_rate * (window**2).sum()))
                self._windows[key] = torch.as_tensor(window).to(dtype).to(device)
        return self._windows[key]

    def _prepare(self, x: Tensor) -> Tensor:
        """Check the waveforms and bring them to the precision and amplitude to work with."""
        if x.ndim != 3:
            raise ValueError(f"expected waveforms (batch, channels, samples), got shape {tuple(x.shape)}")
        if x.shape[-1] < self.nperseg:
            raise UserError(
                f"front_end.nperseg: waveforms have {x.shape[-1]} samples, fewer than nperseg={self.nperseg}; "
                f"set front_end.nperseg to at most {x.shape[-1]}, or prepare longer waveforms"
            )
        x = x if x.dtype == torch.float64 else x.to(torch.float32)
        if self.normalize is not None:
            return normalized(x, self.normalize)
        # A constant trace becomes exactly zero, and a large offset costs no precision.
        return x - x[..., :1] if self.detrend else x

    def _power(self, x: Tensor) -> Tensor:
        """Return the spectrogram with columns first: (B, C, T) -> (B, C, w, f).

        The Fourier transform of real frames takes less than half the time of a product with a Fourier matrix (CPU,
        nperseg 80), and neither autocast nor settings for matrix products (TF32, bfloat16) reach it.
        """

        def power(block: slice) -> Tensor:
            frames = x[block].unfold(-1, self.nperseg, self.nperseg - self.noverlap)  # (B, C, w, nperseg), a view
            frames = frames - frames.mean(dim=-1, keepdim=True) if self.detrend else frames.clone()
            if self.detrend == "linear":
                ramp = torch.linspace(-1.0, 1.0, self.nperseg, dtype=x.dtype, device=x.device)
                ramp = ramp / ramp.norm()
                frames -= (frames * ramp).sum(dim=-1, keepdim=True) * ramp
            frames *= self._window(x.dtype, x.device)
            parts = torch.view_as_real(torch.fft.rfft(frames, n=self.nfft))[..., self._bins, :]
            parts = parts.square() if parts.requires_grad else parts.square_()  # in place: a fifth of the time
            density = parts[..., 0] + parts[..., 1]
            if self._bins.start == 0:
                density[..., 0] *= 0.5  # the zero frequency has no negative twin
            if self.nfft % 2 == 0 and self._bins.stop == self.nfft // 2 + 1:
                density[..., -1] *= 0.5  # nor has the Nyquist frequency
            return density

        return in_blocks(power, x, x.shape[1] * self.n_source_columns(x.shape[2]) * self.nfft)

    def spectrogram(self, x: Tensor) -> Tensor:
        """Return power spectral densities, (B, C, T) -> (B, C, f, w): ``scipy.signal.spectrogram``'s numbers.

        In (unit of the waveform)^2 / Hz; after ``normalize``, if that is set.
        """
        return self._power(self._prepare(x)).transpose(2, 3)

    def picture(self, x: Tensor) -> Picture:
        """Return the scaled spectrograms of (B, C, T), to be resized where they are looked at."""
        if not self.fitted:
            raise UserError(
                "front_end.floor: auto has not been fitted yet; fit it on training data, load a checkpoint, "
                "or set front_end.floor to a number"
            )
        power = self._power(self._prepare(x))
        floor = self.floor.to(power.dtype)
        flat = power.flatten(2)
        low, high = torch.log10(flat.amin(2) + floor), torch.log10(flat.amax(2) + floor)  # (B, C)
        live = torch.isfinite(low) & torch.isfinite(high) & (high > low)
        if self.scale == "minmax":
            offset, gain = low, live / torch.where(live, high - low, 1.0)
        else:
            offset, gain = torch.full_like(low, self.scale[0]), live / self.scale[1]
        return Picture(power, floor, offset, gain.to(power.dtype), self.size, self.recipe)

    def normalized(self, x: Tensor) -> Tensor:
        """Return the scaled spectrograms before resizing, (B, C, T) -> (B, C, f, w)."""
        return self.picture(x).values

    def forward(self, x: Tensor) -> Tensor:
        """Return the whole pictures, (B, C, T) -> (B, C, F, W)."""
        return self.picture(x).full()
