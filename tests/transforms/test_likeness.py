import math

import pytest
import torch

from seisml.errors import UserError
from seisml.transforms.likeness import Likeness, ToldApart, mean_spectra, no_worse_than_best, told_apart


def test_shares_are_those_counted_by_hand():
    """One feature of spread 1: near is nearer, farther, as near."""
    reference = torch.tensor([[0.0], [0.0], [1.0]])
    near = torch.tensor([[1.0], [-2.0], [0.0]])
    far = torch.tensor([[2.0], [1.0], [2.0]])
    told = told_apart(reference, near, far)
    assert told == ToldApart((1 + 0 + 0.5) / 3, 3)
    assert told.error == pytest.approx(0.5 / math.sqrt(3))


def test_every_feature_has_the_same_say():
    """A feature of large numbers that says nothing does not hide a small one that says all."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 400, 1, generator=random) * 1e4
    telling = torch.tensor([0.0, 0.0, 1.0])[:, None, None] + 1e-3 * torch.randn(3, 400, 1, generator=random)
    assert told_apart(*torch.cat([noise, telling], dim=-1)).share > 0.8


def test_what_looks_alike_is_at_chance():
    crops = torch.randn(3, 2000, 8, generator=torch.Generator().manual_seed(0))
    told = told_apart(*crops)
    assert abs(told.share - 0.5) < 3 * told.error and told_apart(*torch.ones(3, 5, 8)).share == 0.5


@pytest.mark.parametrize(("share", "excess"), [(1.0, 1.0), (0.75, 0.5), (0.6, 0.2), (0.5, 0.0), (0.3, 0.0)])
def test_excess_is_what_is_above_chance(share, excess):
    assert ToldApart(share, 400).excess == pytest.approx(excess)


def test_excess_within_two_standard_errors_is_none():
    assert ToldApart(0.549, 400).excess == 0.0 and ToldApart(0.551, 400).excess == pytest.approx(0.102)


def test_batches_are_put_together():
    likeness = Likeness("exp_params.rho")
    one = torch.zeros(50, 1, 1, 4)
    likeness.add(one, one, one + 1)  # told apart always
    likeness.add(one, one, one)  # never
    assert likeness.told_apart() == ToldApart(0.75, 100)


def test_what_is_no_worse_than_the_best_by_a_standard_error():
    told = {0.1: ToldApart(0.8, 100), 0.2: ToldApart(0.75, 100), 0.3: ToldApart(0.74, 100)}
    assert set(no_worse_than_best(told)) == {0.1, 0.2} and no_worse_than_best({}) == {}


def test_spectra_are_means_over_columns():
    picture = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert mean_spectra(picture, "exp_params.rho").tolist() == [[1.5, 5.5, 9.5]]
    with pytest.raises(UserError, match="exp_params.rho: auto compares spectra of crops, and these are waveforms"):
        mean_spectra(picture[0], "exp_params.rho")
