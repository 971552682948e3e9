from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms import SampleRandom
from seisml.transforms.augmentations.spectral_gain import SpectralGain

N, T = 400, 1000


def gains(step: SpectralGain) -> torch.Tensor:
    """Gain of each sample and frequency in dB, (N, T // 2): an impulse has all frequencies alike."""
    x = torch.zeros(N, 2, T)
    x[..., 100] = 1.0
    y = step(x + 7, SampleRandom(0, 0, torch.arange(N)))
    torch.testing.assert_close(y.mean(-1), torch.full((N, 2), 7 + 1 / T))  # the mean stays
    torch.testing.assert_close(y[:, 0], y[:, 1])  # all channels alike
    return 20 * torch.log10(torch.fft.rfft(y[:, 0] - 7).abs()[:, 1:])


def test_the_gain_is_smooth_and_of_the_stated_size():
    gain = gains(SpectralGain(std=6.0, points=8))
    assert gain[:, -1].std() == pytest.approx(6.0, rel=0.1) and gain.mean().abs() < 0.5
    place = torch.arange(1, T // 2 + 1) / (T // 2) * 7
    for sample in gain[:3]:  # linear between 8 points
        between = (place.frac() > 0.03) & (place.frac() < 0.97)
        assert sample.diff().diff()[between[1:-1]].abs().max() < 1e-2
    corners = gain[:, [70, 142, 213]]
    assert torch.corrcoef(corners.T).fill_diagonal_(0).abs().max() < 0.2  # drawn by themselves


def test_a_share_of_the_samples_is_filtered_and_phases_stay():
    x = torch.randn(N, 1, T, generator=torch.Generator().manual_seed(0))
    random = SampleRandom(0, 0, torch.arange(N))
    y = SpectralGain(share=0.3)(x, random)
    changed = (y != x).any(-1).any(-1)
    assert 0.2 < changed.float().mean() < 0.4
    torch.testing.assert_close(SpectralGain(std=0.0)(x, random), x, atol=1e-5, rtol=0)
    a, b = (torch.fft.rfft(waveform[changed])[..., 1:-1] for waveform in (x, y))
    assert (b / a).imag.abs().max() < 1e-2


@pytest.mark.parametrize("wrong", [{"std": -1.0}, {"points": 1}, {"share": 2.0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(UserError, match="SpectralGain"):
        SpectralGain(**wrong)
