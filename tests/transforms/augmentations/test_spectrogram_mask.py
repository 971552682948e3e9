from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms import Augmentations, Crop, SampleRandom
from seisml.transforms.augmentations.spectrogram_mask import SpectrogramMask

N = 500


def masked(step: SpectrogramMask, epoch: int = 0) -> torch.Tensor:
    """Whether each place of two views is hidden, (2, N, 32, 50)."""
    views = tuple(Crop(torch.ones(N, 1, 32, 50)) for _ in range(2))
    hidden = [view.full()[:, 0] == 0 for view in step(views, SampleRandom(0, epoch, torch.arange(N)))]
    assert all((view.full() == 1).all() for view in views)  # what came in stays
    return torch.stack(hidden)


def test_one_band_of_each_axis_is_hidden():
    hidden = masked(SpectrogramMask(frequency=0.25, time=0.4))
    rows, columns = hidden.all(-1), hidden.all(-2)  # (2, N, 32), (2, N, 50)
    assert (hidden == (rows[..., :, None] | columns[..., None, :])).all()
    for band, widest in ((rows, 0.25), (columns, 0.4)):
        width = band.sum(-1)
        assert width.max() == round(widest * band.shape[-1]) and width.float().mean() / band.shape[-1] == pytest.approx(
            widest / 2, rel=0.1
        )
        assert (band.int().diff(dim=-1) == 1).sum(-1).max() == 1  # in one piece
        assert band.float().mean((0, 1)).min() > 0  # anywhere
    assert (hidden[0] != hidden[1]).any() and (masked(SpectrogramMask(), 1) != masked(SpectrogramMask())).any()


def test_no_axis_needs_to_be_hidden_and_there_may_be_several_bands():
    assert not masked(SpectrogramMask(frequency=0.0, time=0.0)).any()
    rows = masked(SpectrogramMask(frequency=0.1, time=0.0, bands=3)).all(-1)
    assert (rows.int().diff(dim=-1) == 1).sum(-1).max() == 3


@pytest.mark.parametrize("wrong", [{"time": 1.0}, {"frequency": -0.1}, {"bands": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(UserError, match="SpectrogramMask"):
        SpectrogramMask(**wrong)


def test_waveforms_have_no_frequencies_to_hide():
    views = (Crop(torch.ones(4, 1, 100)),)
    with pytest.raises(UserError, match="SpectrogramMask hides parts of spectrograms"):
        Augmentations(["SpectrogramMask"])(views, SampleRandom(0, 0, torch.arange(4)))
