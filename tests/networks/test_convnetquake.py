from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchinfo

from seisml.errors import UserError
from seisml.networks.convnetquake import ConvNetQuakeEncoder, same_padding
from tests.networks.heads import with_classifier


def test_layers_are_the_published_ones():
    network = with_classifier(ConvNetQuakeEncoder(), 7)
    layers = torchinfo.summary(network, (1, 3, 1000), mode="eval", verbose=0).summary_list
    rows = [(layer.class_name, tuple(layer.output_size[1:]), layer.num_params) for layer in layers]
    convolutions = [(shape, count) for name, shape, count in rows if name == "Conv1d"]
    lengths = [500, 250, 125, 63, 32, 16, 8, 4]
    assert convolutions == [((32, length), 320 if k == 0 else 3104) for k, length in enumerate(lengths)]
    assert [(shape, count) for _, shape, count in rows[-2:]] == [((128,), 0), ((7,), 903)]
    assert sum(parameter.numel() for parameter in network.parameters()) == 22_951


@pytest.mark.parametrize(("length", "expected"), [(1000, (0, 1)), (125, (1, 1)), (63, (1, 1)), (250, (0, 1))])
def test_padding_is_tensorflows(length, expected):
    assert same_padding(length, 3, 2) == expected


def test_padding_centres_as_tensorflow_does():
    # TensorFlow pads an even input behind: the first output of kernel 3, stride 2 sees samples 0, 1, 2.
    encoder = ConvNetQuakeEncoder(in_channels=1, n_samples=8, n_layers=1, channels=1)
    encoder.model[1].weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
    encoder.model[1].bias.data.zero_()
    x = torch.arange(1.0, 9.0).reshape(1, 1, 8)
    assert encoder(x).tolist() == [[321.0, 543.0, 765.0, 87.0]]
    odd = ConvNetQuakeEncoder(in_channels=1, n_samples=5, n_layers=1, channels=1)
    odd.load_state_dict(encoder.state_dict())
    assert torch.equal(odd(x[..., :5]), F.conv1d(x[..., :5], encoder.model[1].weight, stride=2, padding=1).flatten(1))


def test_other_sizes():
    network = with_classifier(ConvNetQuakeEncoder(in_channels=1, n_samples=777), 51)
    assert network(torch.zeros(2, 1, 777)).shape == (2, 51)


@pytest.mark.parametrize(
    ("options", "message"), [({"n_layers": 0}, "n_layers: 0"), ({"stride": 4}, "stride: 4"), ({"channels": 1.5}, "1.5")]
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        ConvNetQuakeEncoder(**options)
