import numpy as np
import pytest
import scipy.stats
import torch

from seisml.transforms.randomness import SampleRandom, _mix, _signed, normal, uniform

N = 20_000
INDEX = torch.arange(N)


def draw(seed=0, epoch=0, stream="a", n=1, index=INDEX):
    return uniform(seed, torch.full_like(index, epoch), index, stream, n)


def correlation(a, b) -> float:
    return abs(float(np.corrcoef(a.flatten().double(), b.flatten().double())[0, 1]))


def test_mixer_is_that_of_splitmix64():
    # The first outputs of the reference generator with state 1234567: its state grows by the golden ratio.
    state = torch.tensor([_signed(1234567 + k * 0x9E3779B97F4A7C15) for k in (1, 2, 3)])
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [value & (2**64 - 1) for value in _mix(state).tolist()] == expected


@pytest.mark.parametrize("coordinate", ["index", "epoch", "seed", "stream", "n"])
def test_uniform_along_every_coordinate(coordinate):
    many = range(300)
    index = torch.arange(64) if coordinate == "index" else torch.tensor([5])
    u = {
        "index": lambda: draw(n=50, index=torch.arange(400)),
        "epoch": lambda: uniform(0, torch.arange(N), torch.full((N,), 7), "a", 1),
        "seed": lambda: torch.cat([draw(seed=k, n=30, index=index) for k in many]),
        "stream": lambda: torch.cat([draw(stream=f"s{k}", n=30, index=index) for k in many]),
        "n": lambda: draw(n=N, index=index),
    }[coordinate]().flatten()
    assert u.dtype == torch.float32 and u.min() >= 0 and u.max() < 1
    assert scipy.stats.kstest(u.double().numpy(), "uniform").pvalue > 0.01
    assert correlation(u[1:], u[:-1]) < 4 / len(u) ** 0.5


def test_other_coordinates_give_independent_numbers():
    base = draw()
    for other in (draw(seed=1), draw(seed=-1), draw(epoch=1), draw(stream="b"), draw(stream=0), draw(index=INDEX + 1)):
        assert correlation(base, other) < 4 / N**0.5
        assert (base == other).float().mean() < 1e-3
    pairs = draw(n=2)
    assert correlation(pairs[:, 0], pairs[:, 1]) < 4 / N**0.5
    square = scipy.stats.chisquare(np.histogram2d(*pairs.T.numpy(), bins=20)[0].ravel())
    assert square.pvalue > 0.01


def test_epoch_and_index_do_not_trade_places():
    epoch, index = torch.meshgrid(torch.arange(100), torch.arange(100), indexing="ij")
    u = uniform(0, epoch.flatten(), index.flatten(), "a", 2)
    assert len(np.unique(u.numpy(), axis=0)) == 10_000


def test_value_depends_on_the_coordinates_only():
    order = torch.randperm(N)
    assert torch.equal(draw(index=INDEX[order]), draw()[order])
    assert torch.equal(draw(n=5)[:, :3], draw(n=3))
    assert torch.equal(draw(index=INDEX[17:18]), draw()[17:18])
    random = SampleRandom(0, 0, INDEX)
    assert torch.equal(random.uniform("a", 1), draw(stream="a"))
    torch.rand(3)
    assert torch.equal(random.uniform("a", 1), random.uniform("a", 1))


def test_value_is_fixed_for_good():
    got = uniform(3, torch.tensor([2, 2]), torch.tensor([0, 10**12]), "crop", 2)
    assert (got * 2**24).int().tolist() == [[15001863, 10360235], [6303061, 6560042]]


def test_fork_gives_other_streams():
    random = SampleRandom(0, 0, INDEX)
    assert correlation(random.fork("x").uniform("a", 1), random.uniform("a", 1)) < 4 / N**0.5
    assert torch.equal(random.fork("x").fork("y").uniform("a", 1), random.uniform("x/y/a", 1))
    assert len(random) == N and "seed=0" in repr(random)


def test_normal():
    z = SampleRandom(0, 3, INDEX).normal("z", 2)
    assert z.dtype == torch.float32 and torch.isfinite(z).all()
    assert scipy.stats.kstest(z.flatten().double().numpy(), "norm").pvalue > 0.01
    assert torch.equal(z, normal(0, torch.full_like(INDEX, 3), INDEX, "z", 2))


@pytest.mark.parametrize(
    ("mean", "std", "low", "high"), [(0.0, 1.0, -2.0, 2.0), (5.0, 0.1, 4.9, 5.3), (0.0, 1.0, 3.0, 9.0)]
)
def test_truncated_normal(mean, std, low, high):
    x = SampleRandom(0, 0, INDEX).truncated_normal("x", mean, std, low, high)[:, 0].double().numpy()
    law = scipy.stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std)
    assert x.min() >= low - 1e-6 and x.max() <= high + 1e-6
    assert scipy.stats.kstest(x, law.cdf).pvalue > 0.01


def test_truncated_normal_per_sample():
    mean = torch.linspace(-50, 50, N)
    x = SampleRandom(0, 0, INDEX).truncated_normal("x", mean, 1.0, mean - 2, mean + 2, n=3)
    assert x.shape == (N, 3) and (x - mean[:, None]).abs().max() <= 2.0001
    with pytest.raises(ValueError, match="std"):
        SampleRandom(0, 0, INDEX).truncated_normal("x", 0.0, 0.0, -1.0, 1.0)
