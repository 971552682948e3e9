from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms import Augmentations, SampleRandom, WaveformAugmentation
from seisml.transforms.augmentations.amplitude_scale import AmplitudeScale
from seisml.transforms.augmentations.channel_drop import ChannelDrop
from seisml.transforms.augmentations.gaps import Gaps
from seisml.transforms.augmentations.polarity import PolarityFlip
from seisml.transforms.augmentations.recorded_noise import RecordedNoise
from seisml.transforms.augmentations.time_shift import TimeShift
from seisml.transforms.pipeline import AUGMENTATIONS

ON_WAVEFORMS = [kind for kind in AUGMENTATIONS.values() if issubclass(kind, WaveformAugmentation)]
N = 2000


def random(index=None, epoch=0, start=0):
    index = torch.arange(N) if index is None else index
    return SampleRandom(0, torch.full_like(index, epoch), index, start)


def waveforms(n=N, channels=3, samples=200, seed=0):
    return torch.randn(n, channels, samples, generator=torch.Generator().manual_seed(seed))


def test_all_kinds_are_found_by_name():
    assert {kind.__name__ for kind in ON_WAVEFORMS} == {
        "TimeShift", "AmplitudeScale", "PolarityFlip", "RecordedNoise", "ChannelDrop", "Gaps", "GaussianNoise",
        "SpectralGain", "BandStop",
    }  # fmt: skip
    on_views = {"NeighboringCrop", "RandomCrop", "ResizedCrop", "RandomAmplitudeJitter", "SpectrogramMask", "ToTensor"}
    assert on_views == set(AUGMENTATIONS) - {kind.__name__ for kind in ON_WAVEFORMS}


@pytest.mark.parametrize("kind", ON_WAVEFORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_depends_on_the_keys_alone_and_keeps_its_input(kind, channels):
    x, noise, step = waveforms(40, channels), waveforms(40, channels, seed=1), kind()
    index, before = torch.arange(40), x.clone()
    y = step(x, random(index), noise)
    assert y.shape == x.shape and y.dtype == x.dtype and torch.equal(x, before) and torch.isfinite(y).all()
    part = step(x[30:], random(index[30:]), noise[30:])
    torch.testing.assert_close(part, y[30:])
    if (kind, channels) != (ChannelDrop, 1):
        assert not torch.equal(step(x, random(index, epoch=1), noise), y)
        assert not torch.equal(step(x, random(index, start=500), noise), y)
    meta = torch.device("meta")  # refuses to work with tensors that were left on the CPU
    on_device = SampleRandom(0, 0, torch.zeros(40, dtype=torch.int64, device=meta))
    assert step.to(meta)(x.to(meta), on_device, noise.to(meta)).device == meta


def test_time_shift_moves_all_channels_alike_as_far_as_it_may():
    x = torch.zeros(N, 2, 100)
    x[:, :, 50] = 1
    y = TimeShift(0.2)(x, random())
    place = y.argmax(-1)
    assert torch.equal(place[:, 0], place[:, 1]) and y.sum() == x.sum()
    assert (place.min(), place.max()) == (30, 70) and (place[:, 0].bincount()[31:70] > N / 80).all()


def test_amplitude_scale_is_uniform_in_the_logarithm():
    factor = (AmplitudeScale(0.1, 10)(torch.ones(N, 2, 4), random()))[:, :, 0]
    assert torch.equal(factor[:, 0], factor[:, 1])
    assert factor.log10().mean().abs() < 0.05 and -1 <= factor.log10().min() < -0.99 < 0.99 < factor.log10().max() <= 1


def test_polarity_flips_a_share():
    sign = PolarityFlip(0.3)(torch.ones(N, 2, 4), random())[:, :, 0]
    assert torch.equal(sign.abs(), torch.ones(N, 2)) and torch.equal(sign[:, 0], sign[:, 1])
    assert (sign[:, 0] < 0).float().mean() == pytest.approx(0.3, abs=0.03)


def test_recorded_noise_comes_at_the_drawn_ratio():
    x, noise = 50 * waveforms() + 7, 3 * waveforms(seed=1) - 100
    x[:, 1] = 7.0  # a dead channel
    noise[:, 2] = -100.0  # dead noise
    y = RecordedNoise(6.0, 12.0, share=0.5)(x, random(), noise)
    added = y - x
    touched = (added != 0).any(-1)
    assert touched[:, 0].float().mean() == pytest.approx(0.5, abs=0.04) and not touched[:, 1:].any()
    snr = 20 * (x[:, 0].std(-1) / added[:, 0].std(-1)).log10()[touched[:, 0]]
    assert snr.min() >= 5.99 and snr.max() <= 12.01 and snr.std() == pytest.approx(6 / 12**0.5, abs=0.15)
    shape = torch.nn.functional.cosine_similarity(added[:, 0], noise[:, 0] + 100 - (noise[:, 0] + 100).mean(-1, True))
    torch.testing.assert_close(shape[touched[:, 0]], torch.ones(int(touched[:, 0].sum())))
    with pytest.raises(UserError, match="dataset.recorded_noise"):
        RecordedNoise()(x, random())


def test_channels_drop_but_never_all():
    y = ChannelDrop(0.4)(torch.ones(N, 3, 4), random())
    dropped = (y == 0).all(-1)
    assert ((y == 0).all(-1) | (y == 1).all(-1)).all() and not dropped.all(1).any()
    assert dropped.float().mean() == pytest.approx(0.4 - 0.4**3 / 3, abs=0.02)
    assert ChannelDrop(1.0)(torch.ones(N, 3, 4), random()).sum() == N * 4
    assert ChannelDrop(1.0)(torch.ones(N, 1, 4), random()).sum() == N * 4


def test_gaps_are_one_stretch_filled_with_the_mean():
    x = waveforms(channels=2) + 5
    y = Gaps(0.25, share=0.5)(x, random())
    missing = y != x
    assert torch.equal(missing[:, 0], missing[:, 1])
    missing = missing[:, 0]
    assert missing.any(1).float().mean() == pytest.approx(0.49, abs=0.04)
    assert missing.sum(1).max() <= 51 and (missing.int().diff(dim=1).abs().sum(1) <= 2).all()
    torch.testing.assert_close(y[:, 0][missing], x[:, 0].mean(-1, keepdim=True).expand_as(x[:, 0])[missing])


def test_stages_follow_from_the_types():
    names = [{"PolarityFlip": {"share": 1.0}}, "TimeShift", "RandomAmplitudeJitter"]
    steps = Augmentations(names)
    x = waveforms(4)
    first, second = steps.on_waveforms((x, x), random(torch.arange(4)))
    assert not torch.equal(first, second)  # each view has its own draw
    (alone,) = Augmentations(names[1:2]).on_waveforms((x,), random(torch.arange(4)))
    torch.testing.assert_close(first, -alone)
    with pytest.raises(UserError, match="TimeShift changes waveforms.*before RandomAmplitudeJitter"):
        Augmentations(names[::-1])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(TimeShift, {"largest": 0.6}), (AmplitudeScale, {"low": 0}), (PolarityFlip, {"share": 2}),
     (RecordedNoise, {"low": 5, "high": 1}), (ChannelDrop, {"share": -1}), (Gaps, {"longest": 1})],
)  # fmt: skip
def test_refusals(kind, arguments):
    with pytest.raises(UserError, match=f"{kind.__name__}: .*{next(iter(arguments))}="):
        kind(**arguments)
