"""Projector, TNC discriminator, and the classifiers of the original implementation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from seisml.errors import UserError
from seisml.networks import IterNorm, Projector, TNCDiscriminator, build_backbone_with_clf


def test_projector_layers_and_parameters():
    projector = Projector(8, 16, 64)
    kinds = [type(m) for m in projector.model]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2 + [nn.Linear]
    assert isinstance(projector.norm, IterNorm) and projector.norm.num_groups == 64
    expected = (8 * 16 + 16) + 2 * 16 + (16 * 16 + 16) + 2 * 16 + (16 * 64 + 64) + 2 * 64
    assert sum(p.numel() for p in projector.parameters()) == expected
    z = projector(torch.rand(5, 8))
    assert z.shape == (5, 64) and projector.out_size == 64


def test_projector_defaults_and_plain():
    projector = Projector(8)
    assert projector.model[0].out_features == projector.model[6].out_features == 4096
    plain = Projector(8, 16, 10, norm="none")  # any width
    x = torch.rand(5, 8)
    assert torch.equal(plain(x), plain.model(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 16, 64, "batchnorm"), "norm: 'batchnorm'.*iternorm or none"),
        ((8, 0, 64), "proj_hid.*not 0"),
        ((8, 16, -1), "proj_out.*not -1"),
    ],
)
def test_projector_errors(arguments, message):
    with pytest.raises(UserError, match=message):
        Projector(*arguments)
    assert Projector(8, 16, 300).norm.num_groups == 60  # of 5, the published rule


def test_projections_are_float32_inside_autocast():
    projector = Projector(8, 16, 64)
    with torch.autocast("cpu", torch.bfloat16):
        z = projector(torch.rand(6, 8))
    assert z.dtype == torch.float32
    z.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in projector.parameters())


def test_discriminator():
    torch.manual_seed(0)
    discriminator = TNCDiscriminator(6)
    shapes = [tuple(p.shape) for p in discriminator.parameters()]
    assert shapes == [(24, 12), (24,), (1, 24), (1,)]
    assert [type(m) for m in discriminator.model] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert discriminator.model[2].p == 0.5
    y, y2 = torch.rand(5, 6), torch.rand(5, 6)
    discriminator.eval()
    hidden = torch.relu(torch.cat([y, y2], 1) @ discriminator.model[0].weight.T + discriminator.model[0].bias)
    expected = hidden @ discriminator.model[3].weight[0] + discriminator.model[3].bias
    torch.testing.assert_close(discriminator(y, y2), expected)
    with pytest.raises(ValueError, match=r"\(B, 6\), got y \(5, 6\), y2 \(4, 6\)"):
        discriminator(y, y2[:4])


def test_discriminator_starts_from_xavier():
    torch.manual_seed(0)
    weight = TNCDiscriminator(64).model[0].weight
    bound = (6 / (128 + 256)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("name", "published", "classifier"), [("ResNet18", 11_689_512, 512), ("ResNet34", 21_797_672, 512)]
)
def test_resnet_classifiers(name, published, classifier):
    network = build_backbone_with_clf(name, in_channels=1, n_classes=8)
    expected = published - 49 * 64 * 2 - (classifier * 1000 + 1000) + (classifier * 8 + 8)
    assert sum(p.numel() for p in network.parameters()) == expected
    assert isinstance(network.encoder.model.avgpool, nn.AdaptiveMaxPool2d)
    x = torch.rand(2, 1, 64, 71)
    network.eval()
    with torch.no_grad():
        assert network(x).shape == (2, 8)
        trunk = nn.Sequential(*list(network.encoder.model.children())[:-2])
        torch.testing.assert_close(network(x), network.head(trunk(x).amax(dim=(2, 3))))


def test_alexnet_classifier_is_torchvisions():
    network = build_backbone_with_clf("AlexNet", in_channels=3, n_classes=5).eval()
    theirs = models.alexnet(weights=None, num_classes=5).eval()
    network.encoder.model.features.load_state_dict(theirs.features.state_dict())
    network.head.load_state_dict(theirs.classifier.state_dict())
    x = torch.rand(2, 3, 128, 71)
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs(x))
    last = 61_100_840 - (4096 * 1000 + 1000) + (4096 * 5 + 5)
    assert sum(p.numel() for p in network.parameters()) == last


def test_classifier_errors():
    with pytest.raises(UserError, match="backbone_with_clf_type: .*'Resnet34'; did you mean 'ResNet34'"):
        build_backbone_with_clf("Resnet34", 1, 8)
    with pytest.raises(UserError, match="n_classes.*not 0"):
        build_backbone_with_clf("ResNet18", 1, 0)
