import math

import numpy as np
import pytest
import scipy.signal
import torch
from omegaconf import OmegaConf

from seisml.errors import UserError
from seisml.transforms import SpectrogramFrontEnd


def earthquakes(n: int = 6, n_samples: int = 16000, peak: float = 1e4, offset: float = 0.0) -> np.ndarray:
    """Noise, a decaying burst with an onset of its own, peaks up to ``peak`` counts: (n, 1, n_samples) float64."""
    rng = np.random.default_rng(0)
    t = np.arange(n_samples)
    onset = rng.uniform(0.2, 0.7, (n, 1)) * n_samples
    envelope = np.where(t > onset, np.exp(-(t - onset) / (0.05 * n_samples)), 0)
    frequency = rng.uniform(0.01, 0.2, (n, 1))
    x = envelope * np.sin(2 * np.pi * frequency * t) * peak * np.logspace(-2, 0, n)[:, None]
    return (x + rng.normal(0, 2, x.shape) + offset)[:, None]


def scaled(power: np.ndarray, floor: float = 1.0) -> np.ndarray:
    values = np.log10(power + floor)
    low, high = (f(values, axis=(-2, -1), keepdims=True) for f in (np.min, np.max))
    return (values - low) / (high - low)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_equals_scipy(dtype, offset):
    x = earthquakes(offset=offset).astype(dtype)
    reference = scipy.signal.spectrogram(x, fs=1000.0, nperseg=80)[2]
    front_end = SpectrogramFrontEnd(floor=1.0, sampling_rate=1000.0)
    power = front_end.spectrogram(torch.from_numpy(x))
    assert power.numpy().dtype == dtype and power.shape == (6, 1, 41, 228)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert np.abs(power.numpy() - reference).max() < tolerance * reference.max()
    assert np.abs(front_end.normalized(torch.from_numpy(x)).numpy() - scaled(reference)).max() < tolerance


@pytest.mark.parametrize(
    ("ours", "scipys"),
    [
        (dict(nperseg=33), {}),
        (dict(nperseg=64, nfft=101), {}),
        (dict(nperseg=63, nfft=128, noverlap=50), {}),
        (dict(nperseg=20, noverlap=10, nfft=128), {}),
        (dict(nperseg=512, window="hann", detrend="linear"), {}),
        (dict(nperseg=50, window=["tukey", 0.5], detrend=False), dict(window=("tukey", 0.5))),
        (dict(nperseg=50, noverlap=0, window="boxcar"), {}),
    ],
)
def test_every_argument_means_what_scipy_means(ours, scipys):
    x = earthquakes(2, 3001, offset=5.0)
    reference = scipy.signal.spectrogram(x, fs=250.0, **{**ours, **scipys})[2]
    power = SpectrogramFrontEnd(sampling_rate=250.0, **ours).spectrogram(torch.from_numpy(x)).numpy()
    assert power.shape == reference.shape
    np.testing.assert_allclose(power, reference, atol=1e-12 * reference.max())


@pytest.mark.parametrize(("nperseg", "shape"), [(2048, (308, 83)), (512, (77, 334))])
def test_lanl_setting(nperseg, shape):
    front_end = SpectrogramFrontEnd(
        nperseg, size=None, window="hann", detrend="linear", fmax=600e3, floor=1e-11, sampling_rate=4e6,
        scale=(-12 / math.log(10), 1.7 / math.log(10)),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(4.5, 10.7, (1, 1, 150_000))
    f, _, power = scipy.signal.spectrogram(x, fs=4e6, nperseg=nperseg, window="hann", detrend="linear")
    reference = (np.log(power[:, :, f <= 600e3] + 1e-11) + 12) / 1.7
    picture = front_end(torch.from_numpy(x))
    assert picture.shape == (1, 1, *shape)
    assert (len(front_end.frequencies), front_end.n_source_columns(150_000)) == shape
    np.testing.assert_allclose(picture.numpy(), reference, atol=1e-6)


def test_frequency_cut_keeps_the_bins_inside():
    x = torch.from_numpy(earthquakes(1, 4000))
    whole = SpectrogramFrontEnd(sampling_rate=1000.0).spectrogram(x)
    cut = SpectrogramFrontEnd(sampling_rate=1000.0, fmin=12.5, fmax=487.5)
    assert cut.frequencies[0] == 12.5 and cut.frequencies[-1] == 487.5
    torch.testing.assert_close(cut.spectrogram(x), whole[:, :, 1:-1])


def test_published_picture():
    x = earthquakes().astype(np.float32)
    reference = scaled(scipy.signal.spectrogram(x, fs=1000.0, nperseg=80)[2])
    reference = torch.nn.functional.interpolate(torch.from_numpy(reference).double(), size=(128, 711), mode="bilinear")
    picture = SpectrogramFrontEnd(floor=1.0, sampling_rate=1000.0)(torch.from_numpy(x))
    assert picture.dtype == torch.float32
    assert (picture - reference).abs().max() < 1e-5


def test_channels_and_samples_do_not_mix():
    x = torch.from_numpy(earthquakes(6, 3000)).float()
    front_end = SpectrogramFrontEnd(floor=1.0, size=(16, 30))
    together = front_end(x.view(2, 3, 3000))
    torch.testing.assert_close(together.flatten(0, 1)[:, None], front_end(x))


def test_blocks_give_what_the_whole_batch_gives():
    x = torch.from_numpy(earthquakes(40, 16000)).float()
    front_end = SpectrogramFrontEnd(floor=1.0, size=(16, 30))
    in_blocks = front_end(x)
    torch.testing.assert_close(in_blocks, front_end(x.requires_grad_()).detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(in_blocks[33:34], front_end(x[33:34].detach()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("normalize", [None, "std", "peak"])
@pytest.mark.parametrize("bad", [7.3, 1e9, math.nan, math.inf])
def test_dead_and_broken_traces_are_blank_and_spread_nothing(normalize, bad):
    x = torch.from_numpy(earthquakes(3, 3000)).float()
    clean = SpectrogramFrontEnd(floor=1e-6, size=(16, 30), normalize=normalize)(x)
    if math.isfinite(bad):
        x[1] = bad
    else:
        x[1, 0, 100] = bad
    x.requires_grad_(math.isfinite(bad))
    front_end = SpectrogramFrontEnd(floor=1e-6, size=(16, 30), normalize=normalize)
    picture = front_end(x)
    assert not picture[1].any()
    torch.testing.assert_close(picture[[0, 2]], clean[[0, 2]], rtol=0, atol=1e-6)
    assert ("1 of 3 traces" in (front_end.check(x) or "")) == (not math.isfinite(bad))
    if x.requires_grad:
        picture.square().sum().backward()
        assert torch.isfinite(x.grad).all() and x.grad[0].any()


def test_normalize_makes_the_unit_irrelevant():
    x = torch.from_numpy(earthquakes(3, 3000))
    for how in ("std", "peak"):
        front_end = SpectrogramFrontEnd(floor=1e-6, size=None, normalize=how)
        torch.testing.assert_close(front_end(x), front_end(x * 1e-7))


def test_gradient():
    x = torch.from_numpy(earthquakes(1, 60, peak=1.0)).requires_grad_()
    front_end = SpectrogramFrontEnd(nperseg=16, floor=1.0, size=(5, 9), detrend="linear")
    assert torch.autograd.gradcheck(front_end, (x,))


def test_input_is_left_alone_and_constants_survive_inference_mode():
    front_end = SpectrogramFrontEnd(nperseg=16, floor=1.0, size=(5, 9), detrend=False)
    x = torch.from_numpy(earthquakes(2, 200)).float()
    before = x.clone()
    with torch.inference_mode():
        front_end(x)
    assert torch.equal(x, before)
    front_end(x.requires_grad_()).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_models_compute_in_float32(dtype):
    x = torch.from_numpy(earthquakes(2, 3000)).float()
    front_end = SpectrogramFrontEnd(floor=1e-11, size=(16, 30))
    expected = front_end(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(front_end(x), expected)
    front_end = front_end.to(dtype)
    assert front_end.floor.dtype == torch.float32 and float(front_end.floor) == pytest.approx(1e-11)
    assert torch.equal(front_end(x), expected)
    assert front_end(x.to(dtype)).dtype == torch.float32


def test_floor_is_fitted_once_and_travels_in_the_state_dict():
    x = torch.from_numpy(earthquakes(6, 3000)).float() * 1e-6
    front_end = SpectrogramFrontEnd(size=(16, 30))
    assert not front_end.fitted
    with pytest.raises(UserError, match="front_end.floor"):
        front_end(x)
    assert front_end.fit(iter([x[:3], x[3:]])) is front_end and front_end.fitted
    floor = float(front_end.floor)
    levels = front_end.spectrogram(x).flatten(1).quantile(0.25, dim=1)
    assert levels.min() <= floor <= levels.max()
    front_end.fit([x * 1e6])
    assert float(front_end.floor) == floor
    other = SpectrogramFrontEnd(size=(16, 30))
    assert list(front_end.state_dict()) == ["floor"]
    other.load_state_dict(front_end.state_dict())
    assert other.fitted and torch.equal(other(x), front_end(x))
    assert "not fitted" in repr(SpectrogramFrontEnd()) and "not fitted" not in repr(other)


def test_check_warns_of_a_floor_far_above_the_data():
    x = torch.from_numpy(earthquakes(6, 3000)).float() * 1e-6
    assert "floor=auto" in SpectrogramFrontEnd(floor=1.0).check(x)
    assert SpectrogramFrontEnd(floor=1.0).check(x * 1e6) is None
    assert SpectrogramFrontEnd().fit([x]).check(x) is None
    mixed = torch.cat([x[:3], x[3:] * 1e-6])  # two units
    assert "50% of the traces" in SpectrogramFrontEnd().fit([mixed[:3]]).check(mixed)
    assert SpectrogramFrontEnd(normalize="std").fit([mixed]).check(mixed) is None
    assert SpectrogramFrontEnd(floor=1.0).check(torch.zeros(2, 1, 100)) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(nperseg=1), "front_end.nperseg"),
        (dict(noverlap=80), "front_end.noverlap"),
        (dict(nfft=64), "front_end.nfft"),
        (dict(size=(0, 5)), "front_end.size"),
        (dict(size=(5,)), "front_end.size"),
        (dict(floor="atuo"), "front_end.floor"),
        (dict(floor=0), "front_end.floor"),
        (dict(floor=float("nan")), "front_end.floor"),
        (dict(normalize="sdt"), "front_end.normalize.*did you mean 'std'"),
        (dict(detrend="cubic"), "front_end.detrend"),
        (dict(scale="maxmin"), "front_end.scale"),
        (dict(scale=(0, 0)), "front_end.scale"),
        (dict(window="tuckey"), "front_end.window"),
        (dict(fmin=600, sampling_rate=1000.0), "front_end.fmin"),
        (dict(sampling_rate=0), "front_end.sampling_rate"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        SpectrogramFrontEnd(**arguments)
    assert "\n" not in str(error.value)


def test_arguments_from_a_configuration_file():
    arguments = OmegaConf.create({"size": [16, 30], "window": ["tukey", 0.25], "scale": [-1.0, 2.0], "floor": "1e-3"})
    assert SpectrogramFrontEnd(**arguments)(torch.randn(1, 1, 500)).shape == (1, 1, 16, 30)


def test_short_waveforms_name_nperseg_and_the_cure():
    with pytest.raises(UserError, match="50 samples, fewer than nperseg=80; set front_end.nperseg to at most 50"):
        SpectrogramFrontEnd(floor=1.0)(torch.zeros(1, 1, 50))
    with pytest.raises(ValueError, match="batch, channels, samples"):
        SpectrogramFrontEnd(floor=1.0)(torch.zeros(1, 500))
