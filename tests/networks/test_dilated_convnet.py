from __future__ import annotations

import pytest
import torch

from seisml.errors import UserError
from seisml.networks.build import build_encoder


def encoder(**kwargs):
    return build_encoder("DilatedConvNetEncoder", **{"channels": 4, "n_layers": 3, "stem_stride": 2, **kwargs}).eval()


def test_features_of_any_length() -> None:
    network = encoder(in_channels=2)
    assert network.out_size == 8
    for length in (1, 7, 300):
        assert network(torch.randn(3, 2, length)).shape == (3, 8)
    with pytest.raises(UserError, match="in_channels"):
        network(torch.randn(3, 1, 50))


def test_the_context_is_what_the_docstring_says() -> None:
    """One output of the last layer looks at stem_stride (2 + 2 (1 + 2 + 4)) samples."""
    network = encoder()
    x = torch.randn(1, 1, 200, requires_grad=True)
    for layer in network.model.modules():
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.init.constant_(layer.weight, 0.1)  # no tap is switched off
    network.model[1](network.model[0](x.abs()))[0, 0, 50].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    assert int(touched[-1] - touched[0]) + 1 == 2 * (2 + 2 * (1 + 2 + 4))  # the stem spans two strides


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"n_layers": 1000}, {"stem_stride": 0}, {"dilation_growth": 0}])
def test_sizes_that_make_no_network(wrong) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        encoder(**wrong)
