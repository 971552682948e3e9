import pytest
import torch
from omegaconf import OmegaConf

from seisml.errors import UserError
from seisml.transforms import (
    Augmentations,
    NeighboringCrop,
    SampleRandom,
    SpectrogramFrontEnd,
    WaveformFrontEnd,
    stack_traces,
)


@pytest.fixture(scope="module")
def views():
    x = torch.randn(4, 2, 8000, generator=torch.Generator().manual_seed(0)) * 100
    picture = SpectrogramFrontEnd(floor=1.0, size=(32, 200)).picture(x)
    return picture.select(0), picture.select(1)


RANDOM = SampleRandom(0, 0, torch.arange(4))


def test_names_in_order(views):
    augmentations = Augmentations(["NeighboringCrop", {"RandomAmplitudeJitter": {"low": 0.9, "high": 1.1}}, "ToTensor"])
    expected = "NeighboringCrop(width=0.1, shift=0.25) -> RandomAmplitudeJitter(low=0.9, high=1.1) -> ToTensor()"
    assert repr(augmentations) == f"Augmentations({expected})"
    out = augmentations(views, RANDOM)
    plain = Augmentations(["NeighboringCrop"])(views, RANDOM)
    assert [view.shape for view in out] == [(4, 1, 32, 20)] * 3
    for a, b in zip(out, plain, strict=True):
        ratio = (a / b)[b > 0.1]
        assert 0.9 <= ratio.min() and ratio.max() <= 1.1


def test_a_step_keeps_its_numbers_when_others_are_added(views):
    crops = Augmentations(["NeighboringCrop"])(views, RANDOM)
    with_others = Augmentations(["ToTensor", "NeighboringCrop"])(views, RANDOM)
    assert all(torch.equal(a, b) for a, b in zip(crops, with_others, strict=True))
    once = Augmentations(["RandomAmplitudeJitter"])(views, RANDOM)
    twice = Augmentations(["RandomAmplitudeJitter"] * 2)(views, RANDOM)
    full = views[0].full()
    first, both = (out[0].mean((1, 2, 3)) / full.mean((1, 2, 3)) for out in (once, twice))
    assert not torch.allclose(both, first**2)


def test_order_of_jitter_and_crop_does_not_matter(views):
    a = Augmentations(["RandomAmplitudeJitter", "RandomCrop"])(views, RANDOM)
    b = Augmentations(["RandomCrop", "RandomAmplitudeJitter"])(views, RANDOM)
    assert all(torch.allclose(x, y, atol=1e-6) for x, y in zip(a, b, strict=True))


def test_whole_pictures_without_augmentations(views):
    out = Augmentations([])(views, RANDOM)
    assert torch.equal(out[1], views[1].full())


def test_modules_are_taken_as_they_are(views):
    step = NeighboringCrop(0.05)
    assert Augmentations([step]).steps[0] is step


def test_names_from_a_configuration_file_and_dotted_paths(views):
    names = OmegaConf.create(["seisml.transforms.RandomCrop", {"RandomAmplitudeJitter": {"low": 1.0, "high": 1.0}}])
    out = Augmentations(names)(views, RANDOM)
    assert all(torch.equal(a, b) for a, b in zip(out, Augmentations(["RandomCrop"])(views, RANDOM), strict=True))


def test_everything_happens_on_the_device_of_the_batch():
    meta = torch.device("meta")  # refuses to work with tensors that were left on the CPU
    x, zeros = torch.zeros(4, 2, 8000, device=meta), torch.zeros(4, dtype=torch.int64, device=meta)
    for front_end in (SpectrogramFrontEnd(floor=1.0, normalize="std", detrend="linear"), WaveformFrontEnd()):
        picture = front_end.to(meta).picture(x)
        for crop in ("NeighboringCrop", "RandomCrop"):
            views = Augmentations([crop, "RandomAmplitudeJitter"])(
                (picture.select(0), picture.select(zeros)), SampleRandom(0, zeros, zeros)
            )
            assert all(view.device == meta for view in views)
        assert picture.full().device == meta
    assert stack_traces(x, zeros[:, None].expand(4, 2)).device == meta


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["NeighbouringCrop"], "did you mean 'NeighboringCrop'"),
        (["Picture"], "choose from"),
        ([{"RandomCrop": {"widht": 0.2}}], "RandomCrop.*widht"),
        ([{"RandomCrop": None, "ToTensor": None}], "one name per entry"),
        ([{"RandomCrop": {"width": 3}}], "width"),
        ([3], "unknown"),
        (["seisml.transforms.NoCrop"], "has no NoCrop"),
        ("RandomCrop", "list"),
    ],
)
def test_bad_names(names, message):
    with pytest.raises(UserError, match=message):
        Augmentations(names)
