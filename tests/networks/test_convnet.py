from __future__ import annotations

import pytest
import torch
import torchinfo

from seisml.errors import UserError
from seisml.networks.convnet import ConvNetEncoder
from tests.networks.heads import with_classifier

# Output shapes and parameters of the published table (seed 000).
PUBLISHED_BLOCKS = [
    ((8, 10001), 24, (8, 10000), 16),
    ((16, 5001), 272, (16, 5000), 32),
    ((16, 2501), 528, (16, 2500), 32),
    ((16, 1251), 528, (16, 1250), 32),
    ((32, 626), 1056, (32, 625), 64),
    ((32, 313), 2080, (32, 312), 64),
    ((64, 157), 4160, (64, 156), 128),
    ((64, 79), 8256, (64, 78), 128),
]


def test_layers_are_the_published_ones():
    network = with_classifier(ConvNetEncoder(), 2)
    layers = torchinfo.summary(network, (1, 1, 20000), mode="eval", verbose=0).summary_list
    rows = [(tuple(layer.output_size[1:]), layer.num_params) for layer in layers if layer.is_leaf_layer]
    expected = []
    for convolved, n_convolution, pooled, n_norm in PUBLISHED_BLOCKS:
        expected += [(convolved, n_convolution), (pooled, 0), (pooled, n_norm), (pooled, 0)]
    expected += [((4992,), 0), ((32,), 159776), ((32,), 0), ((16,), 528), ((16,), 0), ((2,), 34)]
    assert rows == expected
    assert sum(parameter.numel() for parameter in network.parameters()) == 177_738


@pytest.mark.parametrize("n_samples", [1600, 1601, 100_000])
def test_other_lengths(n_samples):
    network = with_classifier(ConvNetEncoder(n_samples=n_samples), 3).eval()
    assert network(torch.zeros(2, 1, n_samples)).shape == (2, 3)


def test_one_value_per_layer_equals_a_single_value():
    single = ConvNetEncoder(n_samples=64, n_layers=2, channels=4, kernel_size=3)
    listed = ConvNetEncoder(n_samples=64, n_layers=2, channels=[4, 4], kernel_size=[3, 3], stride=[2, 2])
    assert [p.shape for p in single.parameters()] == [p.shape for p in listed.parameters()]


def test_gradients_reach_every_parameter():
    network = with_classifier(ConvNetEncoder(n_samples=512, n_layers=3, channels=[4, 8, 8]), 2)
    network(torch.randn(4, 1, 512)).logsumexp(-1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [8, 16]}, "channels: 2 values for n_layers=8"),
        ({"n_layers": 3}, "channels: 8 values for n_layers=3"),
        ({"kernel_size": 0}, "kernel_size: 0"),
        ({"stride": 2.5}, "stride: 2.5"),
        ({"padding": -1}, "padding: -1"),
        ({"n_samples": 100}, "pool_factor: layer 7"),
        ({"stride": 4}, "stride: layer 1"),
        ({"kernel_size": 500, "n_samples": 300}, "kernel_size: layer 1"),
        ({"dense_sizes": [0]}, "dense_sizes: 0"),
    ],
)
def test_wrong_combinations_are_refused_by_name(options, message):
    with pytest.raises(UserError, match=message):
        ConvNetEncoder(**options)


def test_wrong_input_is_refused():
    encoder = ConvNetEncoder(n_samples=512, n_layers=2, channels=4)
    with pytest.raises(UserError, match="n_samples"):
        encoder(torch.zeros(1, 1, 500))
    with pytest.raises(UserError, match="in_channels"):
        encoder(torch.zeros(1, 3, 512))
    with pytest.raises(ValueError, match="waveforms"):
        encoder(torch.zeros(1, 1, 8, 512))
