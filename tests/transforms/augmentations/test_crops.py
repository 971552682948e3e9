import numpy as np
import pytest
import scipy.stats
import torch

from seisml.errors import UserError
from seisml.transforms import (
    Crop,
    NeighboringCrop,
    RandomCrop,
    ResizedCrop,
    SampleRandom,
    SpectrogramFrontEnd,
    WaveformFrontEnd,
)
from seisml.transforms.augmentations.crops import neighboring_centers

N = 40_000


def centers(width=0.1, shift=0.25, n=N):
    return tuple(t.double().numpy() for t in neighboring_centers(SampleRandom(0, 0, torch.arange(n)), width, shift))


def pictures(n=16, size=(128, 711), n_samples=16000):
    x = torch.randn(n, 2, n_samples, generator=torch.Generator().manual_seed(0)) * 100
    picture = SpectrogramFrontEnd(floor=1.0, size=size).picture(x)
    return picture.select(0), picture.select(1)


@pytest.mark.parametrize(("width", "shift"), [(0.1, 0.25), (0.05, 1.0), (0.19, 0.25)])
def test_centres_follow_the_stated_distributions(width, shift):
    t, t_l, t_k = centers(width, shift)
    s = shift * width
    low, high = s + width, 1 - s - width
    assert scipy.stats.kstest(t, scipy.stats.uniform(low, high - low).cdf).pvalue > 0.01
    assert scipy.stats.kstest((t_l - t) / (s / 2), scipy.stats.truncnorm(-2, 2).cdf).pvalue > 0.01
    assert abs(np.corrcoef(t_l - t, t)[0, 1]) < 4 / N**0.5
    assert t_k.min() >= low - 1e-6 and t_k.max() <= high + 1e-6
    assert np.abs(t_k - t).min() >= s + width - 1e-6

    # Given t, t_k is uniform on what remains: compare with a rejection sampler.
    rng = np.random.default_rng(0)
    candidates = rng.uniform(low, high, (200, 2000))
    reference = t[:2000, None]
    accepted = np.abs(candidates.T - reference) > s + width
    first = accepted.argmax(axis=1)
    expected = candidates.T[np.arange(2000), first]
    assert accepted.any(axis=1).all()
    assert scipy.stats.ks_2samp(t_k, expected).pvalue > 0.01
    left = np.maximum(t - (s + width) - low, 0)
    right = np.maximum(high - t - (s + width), 0)
    position = np.where(t_k < t, t_k - low, left + t_k - t - (s + width)) / (left + right)
    assert scipy.stats.kstest(position, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(position, t)[0, 1]) < 4 / N**0.5


@pytest.mark.parametrize(("width", "shift"), [(0.2, 0.25), (0.5, 0.25), (0.125, 1.0), (0.0, 0.25), (0.1, -1.0)])
def test_no_room_for_a_non_neighbour(width, shift):
    with pytest.raises(UserError, match="NeighboringCrop.*width"):
        NeighboringCrop(width, shift)
    with pytest.raises(UserError, match="NeighboringCrop.*width"):
        neighboring_centers(SampleRandom(0, 0, torch.arange(3)), width, shift)


def test_neighbouring_crops_are_cut_where_the_centres_say():
    first, second = pictures()
    random = SampleRandom(1, 2, torch.arange(16))
    reference, neighbor, non_neighbor = (view.full() for view in NeighboringCrop()((first, second), random))
    assert reference.shape == neighbor.shape == non_neighbor.shape == (16, 1, 128, 70)
    for got, picture, center in zip(
        (reference, neighbor, non_neighbor), (first, second, second), neighboring_centers(random), strict=True
    ):
        start = torch.floor(center * 711).long() - 35
        full = picture.full()
        expected = torch.stack([full[k, :, :, s : s + 70] for k, s in enumerate(start.tolist())])
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_crops_do_not_depend_on_the_batch():
    first, second = pictures(4)
    x = torch.randn(4, 2, 16000, generator=torch.Generator().manual_seed(0)) * 100
    alone = SpectrogramFrontEnd(floor=1.0).picture(x[2:3])
    for augmentation in (NeighboringCrop(), RandomCrop()):
        together = augmentation((first, second), SampleRandom(0, 5, torch.tensor([3, 9, 8, 1])))
        single = augmentation((alone.select(0), alone.select(1)), SampleRandom(0, 5, torch.tensor([8])))
        for a, b in zip(together, single, strict=True):
            torch.testing.assert_close(a.full()[2:3], b.full(), rtol=0, atol=1e-6)


def test_centres_near_the_edge_are_moved_inside():
    picture, _ = pictures(3)
    got = picture.crop(torch.tensor([0.0, 1.0, 0.5]), 0.1).full()
    full = picture.full()
    assert torch.equal(got[0], full[0, :, :, :70]) and torch.equal(got[1], full[1, :, :, -70:])


@pytest.mark.parametrize(("options", "least", "most"), [({}, 50, 850), ({"margin": 0.5}, 0, 900)])
def test_random_crops_are_independent_and_cover_their_range(options, least, most):
    """Centres are U(r, 1 - r) with r the crop's width, as published; with half that margin crops lie anywhere."""
    picture = WaveformFrontEnd(None, demean=False).picture(torch.arange(1000.0).expand(5000, 2, 1000))
    random = SampleRandom(0, 0, torch.arange(5000))
    views = RandomCrop(0.1, **options)((picture.select(0), picture.select(1)), random)
    a, b = (view.full() for view in views)
    starts = [view[:, 0, 0].double().numpy() for view in (a, b)]
    assert a.shape == (5000, 1, 100)
    assert abs(np.corrcoef(*starts)[0, 1]) < 4 / 5000**0.5
    for start in starts:
        assert least <= start.min() < least + 10 and most - 10 < start.max() <= most
        assert scipy.stats.kstest(start + 0.5, scipy.stats.uniform(least, most - least + 1).cdf).pvalue > 0.01


def test_published_width():
    picture, _ = pictures(1)
    assert picture.half_width(0.1) == 35
    native, _ = pictures(1, size=None)
    assert native.half_width(0.1) == 11


def test_a_crop_the_spectrogram_cannot_resolve():
    views = pictures(2, n_samples=1000)  # 14 columns, stretched to 711
    for augmentation in (NeighboringCrop(), RandomCrop()):
        with pytest.raises(UserError, match=r"1 of 14 columns wide \(nperseg=80, noverlap=10\).*front_end.nperseg"):
            augmentation(views, SampleRandom(0, 0, torch.arange(2)))
    with pytest.raises(UserError, match="RandomCrop"):
        RandomCrop(0.0)
    with pytest.raises(UserError, match="margin .* between 0.5 and 0.833 .* set margin=0.5"):
        RandomCrop(0.6)
    RandomCrop(1.0, margin=0.5)


def test_crops_take_two_pictures():
    first, second = pictures(2)
    random = SampleRandom(0, 0, torch.arange(2))
    with pytest.raises(UserError, match="two whole pictures, not 1; set dataset.n_views=2"):
        NeighboringCrop()((first,), random)
    with pytest.raises(UserError, match="whole pictures"):
        RandomCrop()(RandomCrop()((first, second), random), random)


def test_resized_crops_are_as_wide_as_the_whole_and_of_all_widths():
    ramp = torch.arange(200.0).expand(N // 10, 1, 3, 200)
    random = SampleRandom(0, 0, torch.arange(N // 10))
    one, two = (view.full() for view in ResizedCrop(0.2, 1.0)((Crop(ramp), Crop(ramp)), random))
    assert one.shape == ramp.shape and not torch.equal(one, two)
    width = (one[..., 150] - one[..., 50])[:, 0, 0] / 100  # away from the ends the ramp is stretched evenly
    assert scipy.stats.kstest(width.numpy(), scipy.stats.uniform(0.2, 0.8).cdf).pvalue > 0.01
    assert (one.diff(dim=-1) >= 0).all() and one.min() >= 0 and one.max() <= 199
    begin = one[:, 0, 0, 100] - 100 * width  # uniform where the crop fits
    assert scipy.stats.kstest((begin / (200 * (1 - width))).numpy(), "uniform").pvalue > 0.01
    (whole,) = ResizedCrop(1.0, 1.0)((Crop(ramp),), random)
    torch.testing.assert_close(whole.full(), ramp)
    picture, _ = pictures()
    assert ResizedCrop()((picture,), SampleRandom(0, 0, torch.arange(16)))[0].full().shape == (16, 1, 128, 711)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 0.4), (0.5, 1.1)])
def test_resized_crops_out_of_range(low, high):
    with pytest.raises(UserError, match="ResizedCrop"):
        ResizedCrop(low, high)


def test_waveforms_are_not_drawn_out():
    with pytest.raises(UserError, match="change its pitch"):
        ResizedCrop()((Crop(torch.ones(4, 1, 100)),), SampleRandom(0, 0, torch.arange(4)))


def two_traces(n=200, change=0.0, size=(64, 128)):
    """Two traces of noise of their own; a tone rises in both alike, over so many octaves from end to end."""
    random, n_samples = torch.Generator().manual_seed(0), 4000
    x = torch.randn(n, 2, n_samples, generator=random)
    if change:
        frequency = 0.02 * 2 ** (change * torch.linspace(0, 1, n_samples))  # in cycles per sample
        begin = torch.rand(n, 1, 1, generator=random)
        x = x + 5 * torch.sin(2 * np.pi * (frequency.cumsum(0) + begin))
    picture = SpectrogramFrontEnd(nperseg=64, noverlap=32, floor=1e-3, size=size).picture(x)
    return (picture.select(0), picture.select(1)), SampleRandom(0, 0, torch.arange(n))


def test_neighbours_of_a_changing_record_are_told_apart_and_those_of_a_stationary_one_are_not():
    shares = {}
    for change in (0.0, 3.0):
        step = NeighboringCrop(width="auto")
        found = step.fit([two_traces(change=change)])
        assert step.fitted and found["width"] == step.width in NeighboringCrop.WIDTHS
        shares[change] = found["told_apart"]
    assert shares[3.0] > 0.9 and abs(shares[0.0] - 0.5) < 0.1
    views, random = two_traces(change=3.0)
    assert all(torch.equal(one.full(), other.full()) for one, other in zip(
        step(views, random), NeighboringCrop(step.width)(views, random), strict=True
    ))  # fmt: skip


def test_the_narrowest_crops_are_taken_that_say_of_which_record_they_are():
    """A tone that lasts says it anywhere; one that is short is in wide crops alone."""
    n, n_samples = 200, 4000
    random = torch.Generator().manual_seed(1)
    frequency = 0.05 + 0.3 * torch.rand(n, 1, 1, generator=random)
    tone = torch.sin(2 * np.pi * frequency * torch.arange(n_samples))
    lasting = 3 * tone
    short = 20 * tone * ((torch.arange(n_samples) - n_samples / 2).abs() < 100)
    noise = torch.randn(n, 2, n_samples, generator=random)
    widths = []
    for signal in (lasting, short):
        picture = SpectrogramFrontEnd(nperseg=64, noverlap=32, floor=1e-3, size=(64, 128)).picture(signal + noise)
        step = RandomCrop(width="auto", margin=0.5)
        step.fit([((picture.select(0), picture.select(1)), SampleRandom(0, 0, torch.arange(n)))])
        widths.append(step.width)
    assert widths[0] <= 0.1 and widths[1] >= 0.5


@pytest.mark.parametrize("kind", [NeighboringCrop, RandomCrop])
@pytest.mark.parametrize("width", ["autoo", None, [0.1]])
def test_a_width_is_a_number_or_auto(kind, width):
    with pytest.raises(UserError, match=f"augmentations: {kind.__name__}.width: .* is neither a number nor auto"):
        kind(width=width)


def test_a_width_that_is_left_to_the_data_has_to_be_fitted():
    views, random = two_traces(n=4)
    for step in (NeighboringCrop(width="auto"), RandomCrop(width="auto")):
        assert "width=auto (not fitted)" in repr(step)
        with pytest.raises(UserError, match="width: auto has not been fitted to training data; give a number"):
            step(views, random)
        with pytest.raises(UserError, match="auto finds no width for pictures of so few columns"):
            step.fit([two_traces(n=4, size=(8, 1))])
        with pytest.raises(UserError, match=f"auto looks at whole pictures; name {type(step).__name__} first"):
            step.fit([(tuple(Crop(view.full()) for view in views), random)])
    with pytest.raises(UserError, match="RandomCrop.width: auto compares spectra of crops, and these are waveforms"):
        picture = WaveformFrontEnd(normalize=None).picture(torch.randn(4, 2, 400))
        RandomCrop(width="auto").fit([((picture.select(0), picture.select(1)), random)])
