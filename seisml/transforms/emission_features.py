"""Statistics of windows of acoustic emission, in batches: those that won the LANL contest, and plain ones beside them.

The winning solution (Hahmann et al. 2019, first place of "LANL Earthquake Prediction") used four numbers of each window
of 150,000 samples: peaks of support 2 of the denoised signal, the 20 % quantile of the rolling standard deviation over
50 samples, and the 4th and 18th mel-frequency cepstral coefficients, after adding noise of standard deviation 0.5 and
removing the median, so that nothing depends on the sensor's offset.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seisml.transforms.blocks import in_blocks

QUANTILES = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
ROLLING = 50  # samples of the rolling standard deviation
N_MFCC, N_MELS, N_FFT, HOP = 20, 128, 2048, 512
MEL_RATE = 22050.0  # Hz: the rate that the winners' library assumed; it only names the bands
SHORTEST = 64  # samples of a window; one below N_FFT takes the power of two that it holds
NOISE = 0.5  # counts
NAMES = (
    "mean", "std", "kurtosis", "skewness", "largest", *(f"quantile_{q:g}" for q in QUANTILES),
    "mean_absolute", "peaks", *(f"rolling_std_{q:g}" for q in QUANTILES), *(f"mfcc_{i}" for i in range(1, N_MFCC + 1)),
)  # fmt: skip
WINNING = ("peaks", "rolling_std_0.2", "mfcc_4", "mfcc_18")


@torch.no_grad()
def emission_features(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Describe windows of one channel.

    Args:
        x: Windows, (N, T) in counts, T at least ``SHORTEST``.
        generator: Of the noise that is added, the same to every window, so that what one gives does not depend on the
            others of its batch; None adds none.

    Returns:
        (N, F) float32, in the order of :data:`NAMES`.

    Raises:
        ValueError: Windows that are too short.
    """
    if x.ndim != 2 or x.shape[1] < SHORTEST:
        raise ValueError(f"windows {tuple(x.shape)} should be (N, T) with {SHORTEST} samples or more")
    x = x.float()
    noise = x.new_zeros(x.shape[1])
    if generator is not None:
        noise = NOISE * torch.randn(x.shape[1], generator=generator, device=generator.device).to(x.device)
    return in_blocks(lambda block: _features(x[block], noise), x, x.shape[1])


def _features(x: Tensor, noise: Tensor) -> Tensor:
    """Statistics of windows (N, T) with noise (T,) added: (N, F)."""
    mean = x.mean(dim=1)
    x = x + noise
    ordered = _sorted(x)
    median = ordered[:, (x.shape[1] - 1) // 2, None]  # the lower one of two, as torch.median takes it
    x, ordered = x - median, ordered - median
    centred = x.double() - x.double().mean(dim=1, keepdim=True)
    square = centred.square()
    variance = square.mean(dim=1).clamp_min(1e-24)
    columns = [
        mean,
        variance.sqrt(),
        square.square().mean(dim=1) / variance.square(),
        (square * centred).mean(dim=1) / variance.pow(1.5),
        torch.maximum(ordered[:, -1], -ordered[:, 0]),
        *_quantiles(ordered).unbind(1),
        x.abs().mean(dim=1),
        number_of_peaks(denoised(x)).float(),
        *_quantiles(_sorted(rolling_std(x, ROLLING))).unbind(1),
        *mfcc(x).unbind(1),
    ]
    return torch.stack([column.float() for column in columns], dim=1)


def rolling_std(x: Tensor, width: int) -> Tensor:
    """Standard deviation (with Bessel's correction) over sliding windows: (N, T) -> (N, T - width + 1)."""
    x = torch.nn.functional.pad(x.double(), (1, 0))
    total, square = x.cumsum(dim=1), x.square().cumsum(dim=1)
    mean = (total[:, width:] - total[:, :-width]) / width
    power = (square[:, width:] - square[:, :-width]) / width
    return ((power - mean.square()).clamp_min(0) * width / (width - 1)).sqrt().float()


def number_of_peaks(x: Tensor, support: int = 2) -> Tensor:
    """Count samples that are larger than their ``support`` neighbours on either side: (N, T) -> (N,) int64."""
    middle = x[:, support : x.shape[1] - support]
    peak = torch.ones_like(middle, dtype=torch.bool)
    for shift in range(1, support + 1):
        peak &= middle > x[:, support - shift : x.shape[1] - support - shift]
        peak &= middle > x[:, support + shift : x.shape[1] - support + shift]
    return peak.sum(dim=1)


def denoised(x: Tensor) -> Tensor:
    """Take out what looks like noise: Haar wavelet details of one level below the universal threshold become zero.

    The threshold is sigma sqrt(2 ln T) with sigma from the median absolute detail (Donoho and Johnstone 1994).

    Args:
        x: (N, T).

    Returns:
        (N, T), the last sample as it was where T is odd.
    """
    even = x[:, : x.shape[1] // 2 * 2].unflatten(1, (-1, 2))
    smooth, detail = (even[..., 0] + even[..., 1]) / math.sqrt(2), (even[..., 0] - even[..., 1]) / math.sqrt(2)
    sigma = detail.abs().median(dim=1, keepdim=True).values / 0.6745
    detail = torch.where(detail.abs() > sigma * math.sqrt(2 * math.log(x.shape[1])), detail, 0.0)
    pairs = torch.stack([smooth + detail, smooth - detail], dim=-1) / math.sqrt(2)
    return torch.cat([pairs.flatten(1), x[:, even.shape[1] * 2 :]], dim=1)


def mfcc(x: Tensor) -> Tensor:
    """Mean mel-frequency cepstral coefficients over a window: (N, T) -> (N, ``N_MFCC``).

    Hann windows of 2,048 samples every 512, centred with zeros beyond the ends, 128 mel bands of Slaney's scale and
    area, power in dB no more than 80 below the window's largest, orthonormal cosine transform: librosa's defaults.
    """
    n_fft = min(N_FFT, 2 ** (x.shape[1].bit_length() - 1))
    window = torch.hann_window(n_fft, device=x.device)
    spectrum = torch.stft(
        x, n_fft, max(1, n_fft * HOP // N_FFT), window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = torch.as_tensor(mel_filters(n_fft), device=x.device) @ spectrum.abs().square()  # (N, mels, frames)
    decibel = 10 * power.clamp_min(1e-10).log10()
    decibel = torch.maximum(decibel, decibel.amax(dim=(1, 2), keepdim=True) - 80)
    number = torch.arange(N_MFCC, device=x.device, dtype=torch.float64)[:, None]
    place = torch.arange(N_MELS, device=x.device, dtype=torch.float64)[None] + 0.5
    cosine = torch.cos(math.pi * number * place / N_MELS) * math.sqrt(2 / N_MELS)
    cosine[0] /= math.sqrt(2)
    return decibel.mean(dim=2) @ cosine.float().T


def mel_filters(n_fft: int = N_FFT) -> np.ndarray:
    """Triangular filters of Slaney's mel scale, of equal area: (``N_MELS``, ``n_fft`` // 2 + 1) float32."""
    frequency = np.fft.rfftfreq(n_fft, 1 / MEL_RATE)
    edges = _from_mel(np.linspace(_to_mel(0.0), _to_mel(MEL_RATE / 2), N_MELS + 2))
    rising = (frequency - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequency) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def _to_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    return hertz / (200 / 3) if hertz < 1000 else 15 + math.log(hertz / 1000) / (math.log(6.4) / 27)


def _from_mel(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


def _sorted(x: Tensor) -> Tensor:
    """Rows in ascending order, (N, T); on the CPU by NumPy, whose sort takes a quarter of the time of PyTorch's."""
    return torch.from_numpy(np.sort(x.numpy(), axis=1)) if x.device.type == "cpu" else x.sort(dim=1).values


def _quantiles(ordered: Tensor) -> Tensor:
    """Quantiles (linear interpolation) of rows in ascending order: (N, T) -> (N, len(QUANTILES))."""
    last = ordered.shape[1] - 1
    place = torch.tensor(QUANTILES, device=ordered.device, dtype=torch.float64) * last
    low = place.floor().long()
    share = (place - low).to(ordered.dtype)
    return ordered[:, low] * (1 - share) + ordered[:, (low + 1).clamp_max(last)] * share
