"""Statistics of acoustic emission: against pandas and SciPy, one window at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import fft, signal, stats

from seisml.transforms.emission_features import (
    NAMES,
    QUANTILES,
    WINNING,
    denoised,
    emission_features,
    mel_filters,
    mfcc,
    number_of_peaks,
    rolling_std,
)


def windows(n: int = 3, n_samples: int = 6000) -> torch.Tensor:
    generator = np.random.default_rng(0)
    x = generator.normal(4.5, 3, (n, n_samples))
    x[:, 3000:3200] += 60 * np.sin(np.arange(200) / 2.5) * np.exp(-np.arange(200) / 50)
    return torch.from_numpy(np.round(x)).float()


def test_names_and_plain_statistics() -> None:
    x = windows()
    found = emission_features(x)
    assert found.shape == (3, len(NAMES)) and set(WINNING) < set(NAMES)
    row = dict(zip(NAMES, found[0].tolist(), strict=True))
    y = x[0].numpy().astype(float)
    centred = y - np.median(y)
    assert row["mean"] == pytest.approx(y.mean(), rel=1e-5)
    assert row["std"] == pytest.approx(y.std(), rel=1e-5)
    assert row["kurtosis"] == pytest.approx(stats.kurtosis(y, fisher=False), rel=1e-4)
    assert row["skewness"] == pytest.approx(stats.skew(y), rel=1e-3, abs=1e-4)
    assert [row[f"quantile_{q:g}"] for q in QUANTILES] == pytest.approx(np.quantile(centred, QUANTILES).tolist())
    rolling = pd.Series(y).rolling(50).std().dropna()
    for q in QUANTILES:
        assert row[f"rolling_std_{q:g}"] == pytest.approx(rolling.quantile(q), rel=1e-4)


def test_noise_is_drawn_from_the_generator_and_no_other() -> None:
    x = windows()
    first, again = (emission_features(x, torch.Generator().manual_seed(1)) for _ in range(2))
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, emission_features(x, torch.Generator().manual_seed(2)))
    assert (first[:, NAMES.index("std")] > emission_features(x)[:, NAMES.index("std")]).all()


def test_rolling_std_keeps_its_digits_beside_a_large_burst() -> None:
    x = torch.cat([torch.randn(1, 500), torch.full((1, 20), 3e4), torch.randn(1, 500)], dim=1)
    expected = pd.Series(x[0].double().numpy()).rolling(50).std().dropna().to_numpy()
    np.testing.assert_allclose(rolling_std(x, 50)[0].numpy()[-100:], expected[-100:], rtol=1e-3)


def test_peaks() -> None:
    assert number_of_peaks(torch.tensor([[0.0, 1, 5, 2, 0, 0, 3, 1, 4, 2, 1]])).tolist() == [2]  # the 5 and the 4
    assert number_of_peaks(torch.zeros(2, 9)).tolist() == [0, 0]
    x = torch.randn(1, 3000)
    values = x[0].numpy()
    expected = sum(values[i] > np.delete(values[i - 2 : i + 3], 2).max() for i in range(2, len(values) - 2))
    assert number_of_peaks(x).tolist() == [expected]


def test_denoising_keeps_what_stands_out() -> None:
    x = torch.randn(1, 4001, generator=torch.Generator().manual_seed(0))
    x[0, 2000], x[0, 2001] = 50.0, -50.0
    clean = denoised(x)
    assert clean.shape == x.shape and clean[0, -1] == x[0, -1]
    torch.testing.assert_close(clean[0, 2000:2002], x[0, 2000:2002])
    pairs = clean[0, :2000].reshape(-1, 2)
    torch.testing.assert_close(pairs[:, 0], pairs[:, 1])  # noise is left with its mean over two samples


def test_mfcc_by_scipy() -> None:
    x = windows(1)[0].numpy().astype(float)
    padded = np.pad(x, 1024)
    frames = np.stack([padded[i : i + 2048] for i in range(0, len(padded) - 2047, 512)])
    power = np.abs(np.fft.rfft(frames * signal.get_window("hann", 2048))) ** 2
    decibel = 10 * np.log10(np.maximum(power @ mel_filters().T.astype(float), 1e-10))
    decibel = np.maximum(decibel, decibel.max() - 80)
    expected = fft.dct(decibel, norm="ortho", axis=1)[:, :20].mean(0)
    np.testing.assert_allclose(mfcc(torch.from_numpy(x).float()[None])[0].numpy(), expected, rtol=1e-3, atol=1e-2)


def test_mel_filters() -> None:
    filters = mel_filters()
    frequency = np.fft.rfftfreq(2048, 1 / 22050)
    peaks = frequency[filters.argmax(1)]
    assert filters.shape == (128, 1025) and (np.diff(peaks) >= 0).all() and peaks[-1] > 10_000
    assert filters[60:].sum(1) * (frequency[1]) == pytest.approx(np.ones(68), rel=0.05)  # equal areas


def test_short_windows_take_shorter_transforms() -> None:
    x = windows(2, 4000)[:, :300]
    found = emission_features(x)
    assert found.shape == (2, len(NAMES)) and found.isfinite().all()
    with pytest.raises(ValueError, match="64"):
        emission_features(torch.zeros(1, 63))


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    x = windows()
    together, alone = (emission_features(part, torch.Generator().manual_seed(1)) for part in (x, x[1:2]))
    torch.testing.assert_close(together[1:2], alone)
