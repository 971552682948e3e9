"""Checkpoints as the published code writes them, of pretraining, fine-tuning and the original implementation."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torchvision import models

from seisml.errors import UserError
from seisml.methods.langet import StackedTraceClassifier
from seisml.methods.supervised import Supervised
from seisml.networks import AlexNetEncoder, ResNet18Encoder
from seisml.run.build import load_pretrained, read_pretrained
from seisml.run.checkpoints import split_classifier
from seisml.tasks.facts import DataFacts
from seisml.transforms.spectrogram import SpectrogramFrontEnd

EIGHT = DataFacts(tuple("abcdefgh"), 1000.0, 16000)


def saved(path, values):
    torch.save(values, path)
    return read_pretrained(OmegaConf.create({"load_encoder": {"ckpt_fname": str(path)}}))


def supervised(facts=EIGHT, **kwargs):
    return Supervised(facts=facts, front_end=SpectrogramFrontEnd(floor=1.0), backbone_type="ResNet18Encoder", **kwargs)


def published_network(classes=8):
    """ResNet18 of the original implementation: one channel, global maximum, its classifier as ``fc``."""
    network = nn.Module()
    network.model = models.resnet18(weights=None, num_classes=classes)
    network.model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    network.model.avgpool = nn.AdaptiveMaxPool2d(1)
    return network.eval()


@pytest.mark.parametrize("key", ["classifier_state_dict", "clf_state_dict"])
def test_fine_tuned_with_its_classifier(tmp_path, capsys, key):
    encoder, classifier = ResNet18Encoder(), nn.Sequential()
    classifier.model = nn.Linear(512, 8)  # published: a module whose only layer is called model
    values = {"epoch": 50, "encoder_state_dict": encoder.state_dict(), key: classifier.state_dict()}
    method = supervised()
    load_pretrained(method, saved(tmp_path / "finetune-ep_50.ckpt", values))
    assert "finetune-ep_50.ckpt is loaded, too" in capsys.readouterr().out
    picture = torch.rand(2, 1, 64, 70)
    method.eval(), encoder.eval()
    torch.testing.assert_close(method.classifier(method.embed(picture)), classifier.model(encoder(picture)))


def test_fine_tuned_without_or_with_another_classifier(tmp_path, capsys):
    encoder = ResNet18Encoder()
    values = {"epoch": 50, "encoder_state_dict": encoder.state_dict()}
    load_pretrained(supervised(), saved(tmp_path / "a.ckpt", values))
    assert not capsys.readouterr().out
    values["classifier_state_dict"] = nn.Sequential(nn.Linear(512, 5)).state_dict()
    method = supervised()
    before = method.classifier.weight.clone()
    load_pretrained(method, saved(tmp_path / "b.ckpt", values))
    assert "does not fit these classes and starts afresh" in capsys.readouterr().out
    assert torch.equal(method.classifier.weight, before)
    load_pretrained(supervised(standardize_features=True), saved(tmp_path / "b.ckpt", values))  # on scaled features
    assert not capsys.readouterr().out


def test_original_implementation(tmp_path, capsys):
    network = published_network()
    values = {"epoch": 50, "model_state_dict": network.state_dict()}
    pretrained = saved(tmp_path / "original_imp-ep_50.ckpt", values)
    method = StackedTraceClassifier(
        facts=EIGHT, front_end=SpectrogramFrontEnd(floor=1.0), backbone_with_clf_type="ResNet18"
    )
    load_pretrained(method, pretrained)
    picture = torch.rand(2, 1, 64, 70)
    method.eval()
    torch.testing.assert_close(method.head(method.encoder(picture)), network.model(picture))
    method = supervised(DataFacts(("a", "b"), 1000.0, 16000))  # its encoder alone, for two other classes
    load_pretrained(method, pretrained)
    assert torch.equal(method.encoder.model.conv1.weight, network.model.conv1.weight)
    said = capsys.readouterr().out
    assert "is loaded, too" in said and "starts afresh" in said
    with pytest.raises(UserError, match="does not fit ResNet18Encoder"):
        load_pretrained(supervised(), saved(tmp_path / "c.ckpt", {"model_state_dict": {"model.fc.weight": picture}}))


def test_alexnet_of_the_original_implementation():
    with torch.device("meta"):
        theirs = models.alexnet(weights=None, num_classes=8)
        theirs.features[0] = nn.Conv2d(1, 64, 11, stride=4, padding=2)
        ours = AlexNetEncoder(1, pool="grid")
    state = {f"model.{name}": value for name, value in theirs.state_dict().items()}
    encoder, classifier = split_classifier({}, state, ours)
    assert encoder.keys() == ours.state_dict().keys() and classifier.keys() == theirs.classifier.state_dict().keys()
