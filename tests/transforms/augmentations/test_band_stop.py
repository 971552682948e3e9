from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms import SampleRandom
from seisml.transforms.augmentations.band_stop import BandStop

N, T, RATE = 400, 1000, 100.0  # samples, and Hz


def tone(frequency: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * frequency * torch.arange(T, dtype=torch.float64) / RATE).float().expand(N, 2, T)


def test_a_tone_in_the_band_vanishes_and_others_stay():
    """One octave from half of 50 Hz up: 25 to 50 Hz; its edge begins an octave below."""
    step, random = BandStop(low=1.0, high=1.0, lowest=0.5, edge=1.0, share=1.0), SampleRandom(0, 0, torch.arange(N))
    assert step(3 + tone(25.0), random).sub(3).abs().max() < 1e-5  # the mean stays
    assert step(tone(40.0), random).abs().max() < 1e-5
    torch.testing.assert_close(step(tone(12.5), random), tone(12.5), atol=1e-5, rtol=0)
    torch.testing.assert_close(step(tone(5.0), random), tone(5.0), atol=1e-5, rtol=0)
    # 17.7 Hz is 0.498 octaves away: 0.5 - 0.5 cos(0.498 pi) = 0.497, without phase
    torch.testing.assert_close(step(tone(17.7), random), 0.497 * tone(17.7), atol=1e-3, rtol=0)


def test_bands_lie_in_the_range_and_belong_to_the_sample():
    step = BandStop(low=0.5, high=2.0, lowest=0.1)
    first, last = step.bands(SampleRandom(0, 0, torch.arange(N)))
    octaves = (last / first).log2()
    assert 0.5 <= octaves.min() < 0.55 and 1.95 < octaves.max() <= 2 + 1e-5
    assert 0.1 <= first.min() < 0.105 and 0.95 < last.max() <= 1 + 1e-6
    again, _ = step.bands(SampleRandom(0, 0, torch.arange(N - 10, N)))
    assert torch.equal(again, first[-10:])


def test_a_share_of_the_samples_is_filtered_whatever_they_hold():
    random = SampleRandom(0, 0, torch.arange(N))
    x = torch.randn(N, 1, 501, generator=torch.Generator().manual_seed(0))
    y = BandStop(share=0.3)(x, random)
    changed = (y != x).any(-1).any(-1)
    assert 0.2 < changed.float().mean() < 0.4 and (y[changed].std(-1) < x[changed].std(-1)).all()
    for flat in (torch.zeros(N, 1, 8), torch.full((N, 1, 1), 5.0), torch.full((N, 2, 100), 7.0, dtype=torch.float64)):
        same = BandStop(share=1.0)(flat, random)
        assert same.dtype == flat.dtype and torch.equal(same, flat)


@pytest.mark.parametrize(
    "wrong", [{"low": 0.0}, {"low": 2.0}, {"lowest": 0.0}, {"edge": 0.0}, {"share": 2.0}, {"lowest": 0.5, "high": 2.0}]
)
def test_settings_out_of_range(wrong):
    with pytest.raises(UserError, match="BandStop"):
        BandStop(**wrong)
