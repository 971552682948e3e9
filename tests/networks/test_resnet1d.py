"""The one-dimensional residual network of the UCR experiments."""

from __future__ import annotations

import pytest
import torch

from seisml.networks.resnet1d import ResidualBlock1D, ResNet1DEncoder


def test_parameters_and_lengths() -> None:
    encoder = ResNet1DEncoder(1)
    # by hand: stem 7*64 + 2*64; blocks: convolutions 3*a*b + 3*b*b, two norms 4*b, projection a*b + 2*b
    expected = 7 * 64 + 128 + (2 * 3 * 64 * 64 + 4 * 64)
    for before, width in ((64, 128), (128, 256), (256, 512)):
        expected += 3 * before * width + 3 * width * width + 4 * width + before * width + 2 * width
    assert sum(p.numel() for p in encoder.parameters()) == expected
    x = torch.randn(4, 1, 135)
    lengths = []
    for layer in encoder.model:
        if isinstance(layer, ResidualBlock1D):
            layer.register_forward_hook(lambda module, inputs, output: lengths.append(output.shape[-1]))
    assert encoder(x).shape == (4, 512)
    assert lengths == [34, 17, 9, 5]


@pytest.mark.parametrize("n_samples", [1, 24, 1000])
def test_short_and_long_series(n_samples: int) -> None:
    encoder = ResNet1DEncoder(3, widths=(8, 16)).eval()
    assert encoder(torch.randn(2, 3, n_samples)).shape == (2, 16)


def test_an_unchanged_block_adds_nothing_to_its_input() -> None:
    block = ResidualBlock1D(4, 4).eval()
    torch.nn.init.zeros_(block.body[-1].weight)
    x = torch.randn(2, 4, 9).relu()
    torch.testing.assert_close(block(x), x)
