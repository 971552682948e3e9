"""Seismic attributes: what observatories describe an event by before a random forest names it, in batches.

About sixty numbers of a trace's waveform, envelope, spectrum and spectrogram, and four of the polarisation of three
components: those of Provost, Hibert and Malet (2017, doi 10.1002/2016GL070709) and Hibert et al. (2017,
doi 10.1016/j.jvolgeores.2017.04.015), with bands that are shares of the Nyquist frequency, so that records of 10 MHz
are described as well as those of 50 Hz. Lengths of time are shares of the trace. None depends on the unit of the
waveform, but the two named ``log_rms`` and ``log_peak``.
"""

from __future__ import annotations

import torch
from torch import Tensor

BANDS = ((0.0, 0.02), (0.02, 0.05), (0.05, 0.125), (0.125, 0.3), (0.3, 1.0))  # shares of the Nyquist frequency
SEGMENTS = 64  # segments of the spectrogram, half overlapping, so that every trace gives the same number of columns
WAVEFORM = (
    "log_rms", "log_peak", "duration", "mean_over_peak", "median_over_peak", "rise_over_fall",
    "kurtosis", "kurtosis_envelope", "skewness", "skewness_envelope", "zero_crossings",
    "autocorrelation_peaks", "autocorrelation_early", "autocorrelation_late", "autocorrelation_ratio",
    "fall_from_line", "centroid_time", "spread_time", "onset_ratio",
    *(f"band{number}_energy" for number in range(len(BANDS))),
    *(f"band{number}_kurtosis" for number in range(len(BANDS))),
)  # fmt: skip
SPECTRUM = (
    "spectrum_mean", "spectrum_median", "spectrum_variance", "frequency_peak", "frequency_centroid",
    "frequency_quartile1", "frequency_median", "frequency_quartile3", "spectrum_high_peaks", "spectrum_peaks",
    "spectrum_peak_mean", "spectrum_spread", "spectrum_gyration", "spectrum_entropy",
    *(f"quarter{number}_energy" for number in range(4)),
)  # fmt: skip
SPECTROGRAM = (
    "kurtosis_of_maxima", "kurtosis_of_medians", "max_over_mean", "max_over_median", "peaks_of_maxima",
    "peaks_of_means", "peaks_of_medians", "peaks_maxima_over_means", "peaks_maxima_over_medians", "peaks_of_centroid",
    "peaks_of_peak_frequency", "distance_max_mean", "distance_mean_median", "distance_quartile1_median",
    "distance_quartile3_median", "distance_quartile3_quartile1",
)  # fmt: skip
POLARISATION = ("rectilinearity", "planarity", "incidence", "vertical_share")
TRACE = (*WAVEFORM, *SPECTRUM, *SPECTROGRAM)


@torch.no_grad()
def trace_attributes(x: Tensor) -> Tensor:
    """Attributes of each trace by itself.

    Args:
        x: Waveforms, (B, C, T), T at least 32; the mean is removed first.

    Returns:
        (B, C, A) float32, A = ``len(TRACE)``, in the order of :data:`TRACE`. Zeros for a constant trace.

    Raises:
        ValueError: Waveforms shorter than 32 samples.
    """
    if x.ndim != 3 or x.shape[-1] < 32:
        raise ValueError(f"waveforms {tuple(x.shape)} should be (B, C, T) with 32 samples or more")
    batch, channels, n_samples = x.shape
    flat = x.reshape(-1, n_samples).double()  # (N, T): sums of squares of large counts need the digits
    flat = flat - flat.mean(dim=1, keepdim=True)
    peak = flat.abs().amax(dim=1)
    moving = x.reshape(-1, n_samples).amax(dim=1) > x.reshape(-1, n_samples).amin(dim=1)
    unit = flat / torch.where(moving, peak, 1.0)[:, None]  # (N, T) in [-1, 1]
    spectrum = torch.fft.rfft(unit)  # (N, F)
    columns = torch.cat([_waveform(unit, spectrum, peak), _spectrum(spectrum), _spectrogram(unit)], dim=1)
    return torch.where(moving[:, None], columns, 0.0).float().reshape(batch, channels, -1)


@torch.no_grad()
def polarisation_attributes(x: Tensor) -> Tensor:
    """How the ground moves in space: from the covariance of three components (Jurkevics 1988).

    Args:
        x: Waveforms, (B, 3, T), the first component vertical.

    Returns:
        (B, 4) float32, in the order of :data:`POLARISATION`: rectilinearity 1 - (l2 + l3) / (2 l1) and planarity
        1 - 2 l3 / (l1 + l2) of the eigenvalues l1 >= l2 >= l3, the cosine of the angle between the first direction and
        the vertical, and the vertical's share of the energy. Zeros where nothing moves.

    Raises:
        ValueError: Not three components.
    """
    if x.ndim != 3 or x.shape[1] != 3:
        raise ValueError(f"waveforms {tuple(x.shape)} should be (B, 3, T)")
    centred = x.double() - x.double().mean(dim=-1, keepdim=True)
    scale = centred.abs().amax(dim=(1, 2), keepdim=True)
    moving = scale[:, 0, 0] > 0
    centred = centred / torch.where(scale > 0, scale, 1.0)
    covariance = centred @ centred.mT / x.shape[-1]  # (B, 3, 3)
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    l3, l2, l1 = values.clamp_min(0).unbind(1)
    columns = torch.stack(
        [
            1 - (l2 + l3) / (2 * _positive(l1)),
            1 - 2 * l3 / _positive(l1 + l2),
            vectors[:, 0, 2].abs(),
            covariance[:, 0, 0] / _positive(covariance.diagonal(dim1=1, dim2=2).sum(dim=1)),
        ],
        dim=1,
    )
    return torch.where(moving[:, None], columns, 0.0).float()


def _waveform(x: Tensor, spectrum: Tensor, peak: Tensor) -> Tensor:
    """Columns of :data:`WAVEFORM` for traces (N, T) of unit peak."""
    n_samples = x.shape[1]
    envelope = _envelope(spectrum, n_samples)  # (N, T)
    top, place = envelope.max(dim=1)
    above = envelope > 0.1 * top[:, None]
    first = above.double().argmax(dim=1)
    last = n_samples - 1 - above.flip(1).double().argmax(dim=1)
    power = x.square()
    share = power / _positive(power.sum(dim=1, keepdim=True))
    time = torch.arange(n_samples, device=x.device, dtype=x.dtype) / n_samples
    centroid = share @ time
    auto = _autocorrelation(spectrum, n_samples)  # (N, T)
    third = n_samples // 3
    early, late = auto[:, :third].square().sum(dim=1), auto[:, third:].square().sum(dim=1)
    bands = _band_signals(spectrum, n_samples)  # (N, K, T)
    energy = bands.square().sum(dim=2)
    columns = [
        torch.log10(_positive(peak * power.mean(dim=1).sqrt())),
        torch.log10(_positive(peak)),
        (last - first + 1) / n_samples,
        envelope.mean(dim=1) / top,
        envelope.median(dim=1).values / top,
        (place - first + 1) / (last - place + 1),
        _kurtosis(x),
        _kurtosis(envelope),
        _skewness(x),
        _skewness(envelope),
        ((x[:, 1:] > 0) != (x[:, :-1] > 0)).double().mean(dim=1),
        _peaks(auto) / n_samples,
        torch.log10(_positive(early)),
        torch.log10(_positive(late)),
        late / _positive(early),
        _fall_from_line(envelope / top[:, None], place, last),
        centroid,
        (share @ time.square() - centroid.square()).clamp_min(0).sqrt(),
        _onset_ratio(power),
    ]
    return torch.cat(
        [torch.stack(columns, dim=1), energy / _positive(energy.sum(dim=1, keepdim=True)), _kurtosis(bands)], dim=1
    )


def _spectrum(spectrum: Tensor) -> Tensor:
    """Columns of :data:`SPECTRUM` from Fourier transforms (N, F); frequencies are shares of the Nyquist frequency."""
    amplitude = spectrum.abs()
    amplitude = amplitude / _positive(amplitude.amax(dim=1, keepdim=True))
    frequency = torch.linspace(0, 1, amplitude.shape[1], device=spectrum.device, dtype=amplitude.dtype)
    smooth = _smooth(amplitude, max(3, amplitude.shape[1] // 128 | 1))  # single lines of noise do not count as peaks
    share = amplitude.square() / _positive(amplitude.square().sum(dim=1, keepdim=True))
    centroid = share @ frequency
    second = share @ frequency.square()
    local = _local_maxima(smooth)
    quarters = torch.stack([part.sum(dim=1) for part in share.tensor_split(4, dim=1)], dim=1)
    columns = [
        amplitude.mean(dim=1),
        amplitude.median(dim=1).values,
        amplitude.var(dim=1),
        frequency[amplitude.argmax(dim=1)],
        centroid,
        *_quantiles(share, frequency).unbind(1),
        (local & (smooth[:, 1:-1] > 0.75 * smooth.amax(dim=1, keepdim=True))).double().sum(dim=1),
        local.double().mean(dim=1),
        (smooth[:, 1:-1] * local).sum(dim=1) / local.sum(dim=1).clamp_min(1),
        (second - centroid.square()).clamp_min(0).sqrt(),
        second.sqrt(),
        torch.special.entr(share).sum(dim=1),
    ]
    return torch.cat([torch.stack(columns, dim=1), quarters], dim=1)


def _spectrogram(x: Tensor) -> Tensor:
    """Columns of :data:`SPECTROGRAM` for traces (N, T)."""
    n_samples = x.shape[1]
    width = max(8, 2 * n_samples // (SEGMENTS + 1))
    pieces = x.unfold(1, width, max(1, width // 2)) * torch.hann_window(width, device=x.device, dtype=x.dtype)
    amplitude = torch.fft.rfft(pieces).abs()  # (N, columns, F)
    frequency = torch.linspace(0, 1, amplitude.shape[2], device=x.device, dtype=x.dtype)
    largest, mean, median = amplitude.amax(dim=2), amplitude.mean(dim=2), amplitude.median(dim=2).values
    share = amplitude.square() / _positive(amplitude.square().sum(dim=2, keepdim=True))
    centroid = share @ frequency
    quartile1, middle, quartile3 = _quantiles(share, frequency).unbind(-1)
    highest = frequency[amplitude.argmax(dim=2)]
    n_peaks = [_peaks(curve) for curve in (largest, mean, median)]
    columns = [
        _kurtosis(largest),
        _kurtosis(median),
        (largest / _positive(mean)).mean(dim=1),
        (largest / _positive(median)).mean(dim=1),
        *n_peaks,
        n_peaks[0] / n_peaks[1].clamp_min(1),
        n_peaks[0] / n_peaks[2].clamp_min(1),
        _peaks(centroid),
        _peaks(highest),
        (highest - centroid).abs().mean(dim=1),
        (centroid - middle).abs().mean(dim=1),
        (middle - quartile1).mean(dim=1),
        (quartile3 - middle).mean(dim=1),
        (quartile3 - quartile1).mean(dim=1),
    ]
    return torch.stack(columns, dim=1)


def _positive(x: Tensor) -> Tensor:
    return x.clamp_min(1e-30)


def _envelope(spectrum: Tensor, n_samples: int) -> Tensor:
    """Magnitude of the analytic signal, from the real signal's Fourier transform (N, F) -> (N, T)."""
    full = spectrum.new_zeros(len(spectrum), n_samples)
    full[:, : spectrum.shape[1]] = spectrum
    full[:, 1 : (n_samples + 1) // 2] *= 2
    return torch.fft.ifft(full).abs()


def _autocorrelation(spectrum: Tensor, n_samples: int) -> Tensor:
    """Circular autocorrelation at lags 0..T-1, 1 at lag 0, (N, T)."""
    auto = torch.fft.irfft(spectrum.abs().square(), n_samples)
    return auto / _positive(auto[:, :1])


def _band_signals(spectrum: Tensor, n_samples: int) -> Tensor:
    """The signal in each of :data:`BANDS`, (N, K, T)."""
    frequency = torch.linspace(0, 1, spectrum.shape[1], device=spectrum.device)
    edges = torch.tensor(BANDS, device=spectrum.device)
    inside = (frequency >= edges[:, :1]) & ((frequency < edges[:, 1:]) | (edges[:, 1:] >= 1))  # (K, F)
    return torch.fft.irfft(spectrum[:, None] * inside, n_samples)


def _fall_from_line(envelope: Tensor, place: Tensor, last: Tensor) -> Tensor:
    """Root mean square distance of the falling envelope from a straight line between its peak and its end."""
    number = torch.arange(envelope.shape[1], device=envelope.device)
    falling = (number >= place[:, None]) & (number <= last[:, None])
    line = 1 - (number - place[:, None]) / (last - place).clamp_min(1)[:, None]
    square = ((envelope - line).square() * falling).sum(dim=1)
    return (square / falling.sum(dim=1)).sqrt()


def _onset_ratio(power: Tensor) -> Tensor:
    """Largest ratio of the mean power of the next 1/50 of the trace to that of the 1/5 before, in decades."""
    n_samples = power.shape[1]
    after, before = max(2, n_samples // 50), max(4, n_samples // 5)
    total = torch.nn.functional.pad(power.cumsum(dim=1), (1, 0))
    place = torch.arange(before, n_samples - after + 1, device=power.device)
    late = (total[:, place + after] - total[:, place]) / after
    early = (total[:, place] - total[:, place - before]) / before
    # a silent beginning would make the ratio whatever the rounding is
    early = torch.maximum(early, 1e-9 * power.mean(dim=1, keepdim=True))
    return torch.log10(_positive(late / _positive(early))).amax(dim=1)


def _quantiles(share: Tensor, frequency: Tensor) -> Tensor:
    """Frequencies below which 1/4, 1/2 and 3/4 of the energy lies: (..., F) -> (..., 3)."""
    total = share.cumsum(dim=-1)
    marks = torch.tensor([0.25, 0.5, 0.75], device=share.device, dtype=share.dtype).expand(*share.shape[:-1], 3)
    place = torch.searchsorted(total.contiguous(), marks.contiguous()).clamp_max(share.shape[-1] - 1)
    return frequency[place]


def _smooth(x: Tensor, width: int) -> Tensor:
    """Running mean over an odd number of neighbours, (N, F) -> (N, F)."""
    padded = torch.nn.functional.pad(x[:, None], (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, width, stride=1)[:, 0]


def _local_maxima(x: Tensor) -> Tensor:
    """Whether each inner value is larger than both neighbours: (..., n) -> (..., n - 2)."""
    return (x[..., 1:-1] > x[..., :-2]) & (x[..., 1:-1] > x[..., 2:])


def _peaks(x: Tensor) -> Tensor:
    """Number of local maxima above the mean, (N, n) -> (N,)."""
    return (_local_maxima(x) & (x[:, 1:-1] > x.mean(dim=1, keepdim=True))).double().sum(dim=1)


def _kurtosis(x: Tensor) -> Tensor:
    """Fourth standardised moment over the last axis (3 for a normal distribution)."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred.pow(4).mean(dim=-1) / _positive(centred.square().mean(dim=-1).square())


def _skewness(x: Tensor) -> Tensor:
    """Third standardised moment over the last axis."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred.pow(3).mean(dim=-1) / _positive(centred.square().mean(dim=-1).pow(1.5))
