from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.networks.embedding_convnet import EmbeddingConvNetEncoder


def test_shapes_and_range():
    encoder = EmbeddingConvNetEncoder().eval()
    for n_samples in (1600, 20000):
        z = encoder(torch.randn(3, 1, n_samples))
        assert z.shape == (3, 10) and z.abs().max() <= 1
    # 10 x (convolution + BatchNorm), then 16 -> 10
    assert sum(p.numel() for p in encoder.parameters()) == (48 + 16 + 32) + 9 * (768 + 16 + 32) + 170


def test_refusals():
    with pytest.raises(UserError, match="n_layers"):
        EmbeddingConvNetEncoder()(torch.zeros(1, 1, 1000))
    with pytest.raises(UserError, match="kernel_size"):
        EmbeddingConvNetEncoder(kernel_size=4)
    with pytest.raises(UserError, match="channels: 2 values"):
        EmbeddingConvNetEncoder(channels=[1, 2])
