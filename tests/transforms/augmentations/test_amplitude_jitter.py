import pytest
import scipy.stats
import torch

from seisml.errors import UserError
from seisml.transforms import Crop, RandomAmplitudeJitter, SampleRandom, SpectrogramFrontEnd
from seisml.transforms.augmentations.to_tensor import ToTensor


def test_each_view_of_each_sample_has_its_own_factor():
    n = 5000
    views = tuple(Crop(torch.ones(n, 1, 2, 2)) for _ in range(3))
    out = [view.full() for view in RandomAmplitudeJitter()(views, SampleRandom(0, 0, torch.arange(n)))]
    factors = torch.stack([view[:, 0, 0, 0] for view in out])
    assert all((view == view[:, :, :1, :1]).all() for view in out)
    for factor in factors:
        assert scipy.stats.kstest(factor.double().numpy(), scipy.stats.uniform(0.7, 0.6).cdf).pvalue > 0.01
    assert (torch.corrcoef(factors) - torch.eye(3)).abs().max() < 4 / n**0.5
    assert all(view.full().eq(1).all() for view in views)


def test_pictures_and_crops_are_multiplied_alike():
    x = torch.randn(3, 1, 3000, generator=torch.Generator().manual_seed(0)) * 50
    picture = SpectrogramFrontEnd(floor=1.0, size=(16, 30)).picture(x)
    random = SampleRandom(0, 0, torch.arange(3))
    (a,), (b,) = RandomAmplitudeJitter()((picture,), random), RandomAmplitudeJitter()((Crop(picture.full()),), random)
    torch.testing.assert_close(a.full(), b.full())
    (half,) = RandomAmplitudeJitter()((Crop(picture.full().bfloat16()),), random)
    assert half.full().dtype == torch.bfloat16


def test_limits():
    with pytest.raises(UserError, match="RandomAmplitudeJitter"):
        RandomAmplitudeJitter(1.3, 0.7)


def test_to_tensor_does_nothing():
    views = (Crop(torch.ones(1)),)
    assert ToTensor()(views, SampleRandom(0, 0, torch.arange(1))) is views
