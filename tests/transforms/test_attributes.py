"""Seismic attributes: against SciPy one trace at a time, and on signals whose attributes are known."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import signal, stats

from seisml.transforms.attributes import (
    BANDS,
    POLARISATION,
    TRACE,
    polarisation_attributes,
    trace_attributes,
)

N_SAMPLES = 2000


def named(x: np.ndarray) -> dict[str, float]:
    """Attributes of one trace (T,) by name."""
    return dict(zip(TRACE, trace_attributes(torch.from_numpy(x)[None, None])[0, 0].tolist(), strict=True))


def event(seed: int = 0, n_samples: int = N_SAMPLES) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(n_samples) / 100
    burst = np.where(time > 6, np.exp(-(time - 6) / 2), 0) * np.sin(2 * np.pi * 9 * time)
    return 40 * burst + generator.standard_normal(n_samples)


def test_against_scipy() -> None:
    x = event()
    unit = (x - x.mean()) / np.abs(x - x.mean()).max()
    envelope = np.abs(signal.hilbert(unit))
    spectrum = np.abs(np.fft.rfft(unit))
    power = spectrum**2 / (spectrum**2).sum()
    frequency = np.linspace(0, 1, len(spectrum))
    found = named(x)
    expected = {
        "log_peak": np.log10(np.abs(x - x.mean()).max()),
        "log_rms": np.log10(x.std()),
        "mean_over_peak": envelope.mean() / envelope.max(),
        "kurtosis": stats.kurtosis(unit, fisher=False),
        "kurtosis_envelope": stats.kurtosis(envelope, fisher=False),
        "skewness": stats.skew(unit),
        "skewness_envelope": stats.skew(envelope),
        "frequency_peak": frequency[spectrum.argmax()],
        "frequency_centroid": (power * frequency).sum(),
        "spectrum_entropy": stats.entropy(power),
        "frequency_median": frequency[np.searchsorted(power.cumsum(), 0.5)],
        "quarter0_energy": np.array_split(power, 4)[0].sum(),
        "zero_crossings": np.mean((unit[1:] > 0) != (unit[:-1] > 0)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize("n_samples", [N_SAMPLES, N_SAMPLES + 1])
def test_envelope_of_even_and_odd_lengths(n_samples: int) -> None:
    x = event(n_samples=n_samples)
    envelope = np.abs(signal.hilbert(x - x.mean()))
    assert named(x)["median_over_peak"] == pytest.approx(np.sort(envelope)[(n_samples - 1) // 2] / envelope.max(), 1e-4)


def test_bands_split_the_energy() -> None:
    time = np.arange(N_SAMPLES)
    for number, (low, high) in enumerate(BANDS):
        tone = np.sin(np.pi * max((low + high) / 2, 0.004) * time)
        found = named(tone)
        assert found[f"band{number}_energy"] > 0.95
        assert found["frequency_peak"] == pytest.approx((low + high) / 2, abs=0.003)


def test_shape_of_an_event() -> None:
    found, noise = named(event()), named(np.random.default_rng(1).standard_normal(N_SAMPLES))
    assert found["onset_ratio"] > 1.5 > 1 > noise["onset_ratio"]  # the burst is 40 times the noise
    assert found["kurtosis"] > 10 and noise["kurtosis"] == pytest.approx(3, abs=0.3)
    assert found["duration"] < 0.5 < noise["duration"]
    assert 0.3 < found["centroid_time"] < 0.45  # it begins at 0.3
    assert found["rise_over_fall"] < 0.3


def test_no_attribute_depends_on_the_unit_but_two() -> None:
    x = torch.from_numpy(event())[None, None]
    near = trace_attributes(x)[0, 0]
    far = trace_attributes(x * 1e-9 + 5e-9)[0, 0]
    for name, a, b in zip(TRACE, near.tolist(), far.tolist(), strict=True):
        assert b == pytest.approx(a - 9 if name.startswith("log_") else a, rel=1e-4, abs=1e-4), name


def test_batches_dead_traces_and_lengths() -> None:
    x = torch.randn(3, 2, 500, generator=torch.Generator().manual_seed(0))
    x[1, 0] = 7.0
    found = trace_attributes(x)
    assert found.shape == (3, 2, len(TRACE)) and found.dtype == torch.float32
    assert found.isfinite().all()
    assert not found[1, 0].any()
    torch.testing.assert_close(found[2:, 1:], trace_attributes(x[2:, 1:]))
    assert trace_attributes(torch.randn(1, 1, 32)).isfinite().all()
    with pytest.raises(ValueError, match="32 samples"):
        trace_attributes(torch.zeros(1, 1, 31))


def test_polarisation() -> None:
    time = torch.arange(1000) / 100
    wave, other = torch.sin(2 * torch.pi * 3 * time), torch.cos(2 * torch.pi * 3 * time)
    zero = torch.zeros_like(wave)
    vertical = torch.stack([wave, zero, zero])
    circle = torch.stack([zero, wave, other])  # in the horizontal plane
    noise = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    found = polarisation_attributes(torch.stack([vertical, circle, noise, torch.zeros(3, 1000)]))
    assert found.shape == (4, len(POLARISATION))
    assert found[0].tolist() == pytest.approx([1, 1, 1, 1], abs=1e-5)
    assert found[1].tolist() == pytest.approx([0.5, 1, 0, 0], abs=1e-2)
    assert found[2, 0] < 0.2 and found[2, 1] < 0.2
    assert not found[3].any()
    with pytest.raises(ValueError, match="3, T"):
        polarisation_attributes(torch.zeros(1, 2, 100))


def test_every_attribute_against_one_trace_at_a_time() -> None:
    """The benchmark writes each of them with NumPy and SciPy."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "attributes.py"
    one_at_a_time = SimpleNamespace(**runpy.run_path(str(path)))
    for length in (500, 1300):  # of odd lengths, two values of the autocorrelation are equal but for rounding
        traces = one_at_a_time.make_traces(6, length, seed=1)
        expected = np.array([one_at_a_time.one_trace(trace) for trace in traces])
        found = trace_attributes(torch.from_numpy(traces)[:, None])[:, 0].numpy()
        for number, name in enumerate(TRACE):
            np.testing.assert_allclose(found[:, number], expected[:, number], rtol=1e-3, atol=1e-4, err_msg=name)
