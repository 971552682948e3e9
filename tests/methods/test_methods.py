"""What holds for every recipe."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from seisml.methods.base import Method
from seisml.methods.langet import StackedTraceClassifier
from seisml.methods.self_supervised.vibcreg import VIbCReg
from seisml.methods.self_supervised.vicreg import VICReg
from seisml.methods.self_supervised.vnibcreg import VNIbCReg
from seisml.methods.supervised import Supervised
from tests.methods.recipes import FACTS, SMALL, batch, front_end, supervised


def test_published_defaults():
    def defaults(recipe):
        found = {}
        for cls in reversed(recipe.__mro__):
            if issubclass(cls, Method):
                found |= {name: p.default for name, p in inspect.signature(cls.__init__).parameters.items()}
        return found

    published = {"lambda_": 10, "mu": 10, "nu": 10, "rho": 13, "LR": 1e-3, "weight_decay": 0, "proj_hid": 4096}
    assert published.items() <= defaults(VNIbCReg).items() and defaults(VNIbCReg)["proj_out"] == 4096
    assert {"lambda_": 25, "mu": 25, "nu": 200}.items() <= defaults(VIbCReg).items()
    assert {"weight_decay": 1e-4, "LR": 1e-3}.items() <= defaults(StackedTraceClassifier).items()
    assert Supervised(facts=FACTS, front_end=front_end(), backbone_type="SmallResNetEncoder").LR == {
        "encoder": 5e-4, "clf": 1e-3
    }  # fmt: skip


def test_bfloat16_autocast_keeps_front_end_and_loss_in_float32():
    method = VNIbCReg(facts=FACTS, front_end=front_end(), augmentations=[{"NeighboringCrop": {"width": 0.18}}], **SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        views = method.augmentations(method.views(batch()), method.random(batch()))
        terms, features = method.losses(views)
    assert all(view.dtype == torch.float32 for view in views)
    assert features[0].dtype == torch.bfloat16 or features[0].dtype == torch.float32
    assert terms["loss"].dtype == torch.float32 and torch.isfinite(terms["loss"])


def test_a_method_of_your_own_needs_one_function():
    class Constant(Method):
        def embed(self, picture):
            return picture.mean((-2, -1))

    method = Constant(facts=FACTS, front_end=front_end())
    features, mask = method.encode_traces(batch())
    assert features.shape == (6, 2, 1) and mask.all() and isinstance(method, nn.Module)


@pytest.mark.parametrize("recipe", ["supervised", "pairs", "stacked"])
def test_waveforms_are_augmented_before_the_front_end_in_training_alone(recipe):
    torch.manual_seed(0)
    names = [{"PolarityFlip": {"share": 1.0}}, {"RecordedNoise": {"share": 1.0}}]
    if recipe == "supervised":
        method = supervised(augmentations=names)
    elif recipe == "pairs":
        names.append({"RandomCrop": {"width": 0.2}})
        method = VICReg(facts=FACTS, front_end=front_end(), augmentations=names, **SMALL)
    else:
        method = StackedTraceClassifier("ResNet18", facts=FACTS, front_end=front_end(), augmentations=names)
    shown = []
    picture = method.front_end.picture
    method.front_end.picture = lambda x: shown.append(x) or picture(x)
    plain = batch()
    plain |= {"noise": torch.randn(6, 2, 1000), "trace_mask": torch.ones(6, 2, dtype=torch.bool)}
    step = method.views if recipe == "pairs" else method.predict_log_probability
    with torch.no_grad():
        for mode in (False, True):
            method.train(mode)
            step(plain)
    half = len(shown) // 2
    before, after = (torch.cat([x.flatten(0, 1) for x in part]) for part in (shown[:half], shown[half:]))
    assert before.shape == after.shape and not torch.allclose(-after, before)
    noise = after + before
    assert (torch.nn.functional.cosine_similarity(after, -before) > 0.5).all() and (noise.std(-1) > 0.05).all()
