from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms.augmentations.gaussian_noise import GaussianNoise
from seisml.transforms.randomness import SampleRandom


def random(n, seed=0, epoch=0):
    return SampleRandom(seed, torch.full((n,), epoch), torch.arange(n))


def waveforms(n=200, channels=3, samples=1000):
    scale = torch.tensor([1.0, 10.0, 100.0])[:channels, None]
    return scale * torch.randn(n, channels, samples, generator=torch.Generator().manual_seed(0))


def test_noise_is_in_proportion_to_each_channel():
    x = waveforms()
    y = GaussianNoise(share=1.0, keep_std=False)(x, random(len(x)))
    ratio = (y - x).std(-1) / x.std(-1)  # (B, C)
    assert ratio.min() > 0.9 and ratio.max() < 1.35
    assert ratio.mean() == pytest.approx(1.1, abs=0.01) and ratio.mean(0).std() < 0.01
    noise = ((y - x) / x.std(-1, keepdim=True)).flatten()
    assert noise.mean().abs() < 0.01 and (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=0.1)


def test_standard_deviation_is_kept_and_a_share_is_untouched():
    x = waveforms()
    y = GaussianNoise(share=0.25)(x, random(len(x)))
    torch.testing.assert_close(y.std(-1), x.std(-1), rtol=0.15, atol=0)
    untouched = (x == y).all(-1).all(-1).float().mean()
    assert untouched == pytest.approx(0.75, abs=0.1)


def test_depends_on_seed_epoch_and_index_alone():
    x, step = waveforms(6), GaussianNoise(share=1.0)
    y = step(x, random(6))
    part = step(x[4:], SampleRandom(0, torch.zeros(2), torch.tensor([4, 5])))
    torch.testing.assert_close(part, y[4:])
    assert not torch.equal(step(x, random(6, epoch=1)), y)


def test_gradients_pass_and_an_offset_stays():
    x = waveforms(4).requires_grad_()
    GaussianNoise(share=1.0)(x, random(4)).sum().backward()
    assert torch.isfinite(x.grad).all()
    y = GaussianNoise(share=1.0)(x.detach() + 1000, random(4))
    torch.testing.assert_close(y.mean(-1), torch.full((4, 3), 1000.0), rtol=0.05, atol=0)


def test_dead_channels_stay_zero():
    y = GaussianNoise(share=1.0)(torch.zeros(2, 1, 50), random(2))
    assert not y.any()


def test_refusals():
    with pytest.raises(UserError, match="low=2"):
        GaussianNoise(low=2, high=1)
    with pytest.raises(UserError, match="share=2"):
        GaussianNoise(share=2)
