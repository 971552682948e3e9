"""Convolutions and an LSTM: the published size, shapes, and sizes that make no network."""

from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.networks.build import build_encoder

PUBLISHED = {
    "widths": [32, 64, 128, 256],
    "stem_length": 4000,
    "stem_stride": 10,
    "hidden": 512,
    "n_layers": 10,
    "n_steps": 1,
}


def test_published_network() -> None:
    """Its layers by hand: convolutions without bias, BatchNorm's two numbers a channel, four gates of an LSTM."""
    with torch.device("meta"):
        encoder = build_encoder("CnnLstmEncoder", **PUBLISHED)
    convolutions = 4000 * 32 + 3 * (32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256)
    lstm = 4 * 512 * (256 + 512 + 2) + 9 * 4 * 512 * (512 + 512 + 2)
    assert sum(p.numel() for p in encoder.parameters()) == convolutions + lstm == 20_746_176
    assert encoder.out_size == 512


def test_published_shapes() -> None:
    encoder = build_encoder("CnnLstmEncoder", **{**PUBLISHED, "hidden": 8, "n_layers": 2}).eval()
    x = torch.randn(2, 1, 150_000)
    lengths = []
    for layer in encoder.model["cnn"]:
        x = layer(x)
        lengths.append(x.shape[-1])
    assert lengths == [14_601] * 3 + [4867] + [4865] * 3 + [1621] + [1619] * 3 + [539] + [537] * 3 + [1]
    assert x.shape == (2, 256, 1)


def test_the_order_of_the_waveform_counts() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("CnnLstmEncoder", in_channels=2).eval()
    x = torch.randn(3, 2, 3000)
    assert encoder(x).shape == (3, 64)
    assert not torch.allclose(encoder(x), encoder(x.flip(-1)), atol=1e-4)


@pytest.mark.parametrize("pool", [1, 3])
def test_the_shortest_waveform(pool: int) -> None:
    encoder = build_encoder("CnnLstmEncoder", pool=pool).eval()
    (least,) = encoder.min_size
    assert encoder(torch.randn(1, 1, least)).shape == (1, 64)
    with pytest.raises(RuntimeError):
        encoder.model["cnn"](torch.randn(1, 1, least - 1))
    with pytest.raises(UserError, match=str(least)):
        encoder(torch.randn(1, 1, least - 1))


@pytest.mark.parametrize(
    "wrong", [{"widths": []}, {"widths": [10**9]}, {"hidden": 0}, {"stem_length": 0}, {"n_layers": 0}, {"n_steps": 0}]
)
def test_sizes_that_make_no_network(wrong) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        build_encoder("CnnLstmEncoder", **wrong)
