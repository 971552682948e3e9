import pytest
import torch

from seisml.errors import UserError
from seisml.transforms import SpectrogramFrontEnd
from seisml.transforms.noise_floor import data_floor, noise_levels


def test_level_is_the_lower_quartile_of_the_live_bins():
    power = torch.arange(1.0, 101.0).view(1, 1, 10, 10)[:, :, torch.randperm(10)]
    assert noise_levels(power).item() == 26.0
    padded = torch.cat([power, torch.zeros(1, 1, 30, 10)], dim=2)
    assert noise_levels(padded).item() == 26.0


def test_dead_and_broken_traces_have_no_level():
    power = torch.ones(2, 2, 4, 5)
    power[0, 1] = 0.0
    power[1, 0, 2, 2] = float("nan")
    assert len(noise_levels(power)) == 2
    with pytest.raises(UserError, match="front_end.floor"):
        data_floor([torch.zeros(2, 1, 4, 5)])
    with pytest.raises(UserError, match="front_end.floor"):
        data_floor([])


def test_a_few_loud_stations_do_not_set_the_floor():
    power = torch.rand(10, 1, 20, 20) + 0.5
    quiet = data_floor([power])
    power[:3] *= 1e9
    assert data_floor([power]) == pytest.approx(quiet, rel=0.1)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e6])
def test_pictures_resolve_noise_and_signal_in_any_unit(unit):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 1, 8000, generator=generator)
    x[:, :, 4000:4400] *= 300
    x = x * unit
    picture = SpectrogramFrontEnd(nperseg=64).fit([x])(x)
    noise, signal = picture[..., :250], picture[..., 360:385]
    assert 0.02 < noise.mean() < 0.3  # dark, but there
    assert noise.std() > 0.02
    assert signal.mean() > 0.7
