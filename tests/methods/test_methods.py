from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.losses.cross_entropy import weighted_cross_entropy
from seisml.losses.tnc import diag_loss, tnc_loss
from seisml.losses.vibcreg import vibcreg_loss
from seisml.methods.barlow_twins import BarlowTwins
from seisml.methods.base import Method
from seisml.methods.classifier import ensemble
from seisml.methods.langet import StackedTraceClassifier
from seisml.methods.linear_head import FeatureMemory
from seisml.methods.simclr import SimCLR
from seisml.methods.supervised import Supervised
from seisml.methods.vibcreg import VIbCReg
from seisml.methods.vicreg import VICReg
from seisml.methods.vnibcreg import VNIbCReg
from seisml.tasks.facts import DataFacts
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from tests.stores import SAMPLING_RATE, write_store

SMALL = {"backbone_type": "SmallResNetEncoder", "proj_hid": 64, "proj_out": 64}
FACTS = DataFacts(("a", "b", "c"), SAMPLING_RATE, 1000, (1.0, 2.0, 0.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("methods") / "store")


def front_end():
    return SpectrogramFrontEnd(nperseg=64, noverlap=32, size=(32, 64), floor=1e-3, sampling_rate=SAMPLING_RATE)


def trainer(**kwargs):
    return pl.Trainer(
        **{"max_epochs": 1, "logger": False, "enable_checkpointing": False, "use_distributed_sampler": False}
        | {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"} | kwargs
    )  # fmt: skip


def batch(n=6, traces=2, seed=0):
    waveform = torch.randn(n, traces, 1000, generator=torch.Generator().manual_seed(seed))
    number = torch.arange(n)
    zeros = torch.zeros_like(number)
    return {"waveform": waveform, "label": number % 3, "index": number, "epoch": zeros, "start": zeros}


@pytest.mark.parametrize("recipe", [VNIbCReg, VIbCReg, VICReg, BarlowTwins, SimCLR])
def test_pretraining_runs(recipe, root):
    data = StoreDataModule(str(root), batch_size=8, is_ssl=True)
    data.setup()
    method = recipe(facts=data.facts, front_end=front_end(), augmentations=[
        {"NeighboringCrop" if recipe is VNIbCReg else "RandomCrop": {"width": 0.18}}, "RandomAmplitudeJitter"
    ], **SMALL)  # fmt: skip
    run = trainer()
    run.fit(method, datamodule=data)
    logged = run.callback_metrics
    assert "train/loss" in logged and all(torch.isfinite(value) for value in logged.values())
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)  # the cosine ends with the run


def test_vnibcreg_loss_is_its_parts(root):
    """The recipe's number equals the published sum, computed here from separate passes over the three crops."""
    torch.manual_seed(0)
    method = VNIbCReg(facts=FACTS, front_end=front_end(), augmentations=[{"NeighboringCrop": {"width": 0.18}}], **SMALL)
    method.discriminator.eval()  # no dropout, so that two passes agree
    views = method.augmentations(method.views(batch()), method.random(batch()))
    assert [tuple(view.shape) for view in views] == [(6, 1, 32, 10)] * 3
    terms, _ = method.losses(views)
    y, y_l = method.encoder(views[0]), method.encoder(views[1])
    y_k = method.encoder(views[2])
    expected = vibcreg_loss(method.projector(y), method.projector(y_l), 10.0, 10.0, 10.0)["loss"] + 13.0 * (
        tnc_loss(method.discriminator(y, y_l), method.discriminator(y, y_k)) + diag_loss(y, y_l, y_k)
    )
    torch.testing.assert_close(terms["loss"], expected, rtol=2e-3, atol=1e-3)  # IterNorm's running state moves on


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


def supervised(**kwargs):
    torch.manual_seed(0)
    return Supervised(facts=FACTS, front_end=front_end(), backbone_type="SmallResNetEncoder", **kwargs)


def test_ensemble_is_the_mean_log_softmax_over_valid_traces():
    log_probability = torch.log_softmax(torch.randn(2, 3, 4), -1)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    out = ensemble(log_probability, mask)
    expected = torch.stack([log_probability[0, :2].mean(0), log_probability[1].mean(0)])
    torch.testing.assert_close(out, expected - expected.logsumexp(-1, keepdim=True))
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(2))


def test_padding_traces_change_nothing():
    method = supervised().eval()
    plain = batch(traces=2)
    padded = {
        **plain,
        "waveform": torch.cat([plain["waveform"], torch.randn(6, 3, 1000)], 1),
        "trace_mask": torch.tensor([True, True, False, False, False]).expand(6, 5),
    }
    with torch.no_grad():
        left, right = method.predict_log_probability(plain), method.predict_log_probability(padded)
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other)


def test_pictures_pass_in_bounded_numbers():
    method = supervised(max_pictures=4).eval()
    sizes = []
    method.encoder.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    with torch.no_grad():
        method.predict_log_probability(batch(n=5, traces=2))
    assert sizes == [4, 4, 2]


def test_freezing():
    frozen = supervised(freeze_encoders=True).train()
    assert not frozen.encoder.training and frozen.classifier.training
    assert all(not p.requires_grad for p in frozen.encoder.parameters())
    assert len(list(frozen.parameter_groups())) == 1
    still = supervised(freeze_bn_stat_train=True).train()
    assert not still.encoder.training and all(p.requires_grad for p in still.encoder.parameters())
    before = {name: value.clone() for name, value in still.encoder.state_dict().items() if "running" in name}
    log_probability, _ = still.predict_log_probability(batch())
    log_probability.sum().backward()
    assert all(torch.equal(before[name], still.encoder.state_dict()[name]) for name in before)
    assert all(p.grad is not None for p in still.encoder.parameters())


def test_a_frozen_encoder_looks_at_each_trace_once(root):
    data = StoreDataModule(str(root), batch_size=8)
    data.setup()
    looks = []
    results = []
    for remember in (True, False):
        torch.manual_seed(0)
        method = Supervised(
            facts=data.facts, front_end=front_end(), backbone_type="SmallResNetEncoder", freeze_encoders=True
        )
        method.memory.most = 10**6 if remember else 0
        seen = []
        method.encoder.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(len(inputs[0])))
        trainer(max_epochs=12).fit(method, datamodule=data)
        looks.append(sum(seen))
        results.append(method.classifier.weight)
        assert method.encoder.state_dict()["model.bn1.num_batches_tracked"] == 0  # in eval mode while training
    assert looks[0] <= 32 * 3 and looks[1] == 32 * 12  # 32 events of 3 traces, against a look per event and epoch
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("most", [0, 5, 100])
def test_remembered_features_are_those_of_their_window_and_trace(most):
    memory, looked = FeatureMemory(most), []

    def recall(*keys):
        def look(positions):
            looked.extend(keys[position] for position in positions)
            return torch.tensor([keys[position] for position in positions], dtype=torch.float32)

        return memory.recall(list(keys), look).tolist()

    for keys in ([(0, 0, 1), (0, 500, 1)], [(0, 500, 1), (7, 0, 0), (0, 0, 1), (7, 0, 0)], [(1, 2, 3), (0, 0, 1)]):
        assert recall(*keys) == [list(key) for key in keys]
    assert looked.count((0, 0, 1)) == (3 if most == 0 else 1)
    assert looked.count((0, 500, 1)) == (2 if most == 0 else 1)


def test_standardised_features_keep_the_classifier_linear():
    """Whatever the scale of the features, the classifier sees mean 0 and standard deviation 1."""
    method = supervised(standardize_features=True, freeze_encoders=True).train()
    raw, seen = [], []
    method.encoder.register_forward_hook(lambda _, __, features: raw.append(features))
    method.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    plain = {**batch(n=16, traces=1), "trace_mask": torch.ones(16, 1, dtype=torch.bool)}
    method.predict_log_probability(plain)
    variance, mean = torch.var_mean(raw[0].double(), 0, correction=0)
    expected = (raw[0] - mean) / (variance + 1e-10).sqrt()
    torch.testing.assert_close(seen[0][:, 0].double(), expected, atol=1e-3, rtol=1e-3)
    assert (expected.std(0) > 0.9).float().mean() > 0.7  # the others are dead or nearly: ReLU keeps them at 0
    assert method.predict_log_probability({k: v[:1] for k, v in plain.items()})[0].isfinite().all()


def test_supervised_augmentations_act_in_training_only():
    method = supervised(augmentations=["RandomAmplitudeJitter"])
    shown = []
    method.encoder.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    with torch.no_grad():
        for mode in (True, False):
            method.train(mode).predict_log_probability(batch())
    factor = (shown[0] / shown[1]).nanmean((1, 2, 3))
    assert (factor - 1).abs().max() > 0.02 and factor.min() >= 0.7 and factor.max() <= 1.3


def test_learning_rates():
    scratch, tuned = supervised(), supervised()
    tuned.pretrained = True
    assert [group["lr"] for group in scratch.parameter_groups()] == [1e-3, 1e-3]
    assert [group["lr"] for group in tuned.parameter_groups()] == [1e-3, 5e-4]


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_rates_rise_and_fall(root, optimizer, kind):
    class Watched(Supervised):
        def on_train_batch_start(self, *arguments):
            self.rates = [*self.__dict__.get("rates", []), self.trainer.optimizers[0].param_groups[0]["lr"]]

    data = StoreDataModule(str(root), batch_size=8)
    data.setup()
    method = Watched(
        facts=data.facts, front_end=front_end(), backbone_type="SmallResNetEncoder", LR=1e-2, optimizer=optimizer,
        weight_decay=0.1, warm_up=0.25,
    )  # fmt: skip
    run = trainer(max_epochs=4)
    run.fit(method, datamodule=data)
    assert type(run.optimizers[0]) is kind and run.optimizers[0].param_groups[0]["weight_decay"] == 0.1
    steps = run.global_step
    cosine = [0.005 * (1 + math.cos(math.pi * step / steps)) for step in range(steps + 1)]
    assert method.rates[:4] == pytest.approx([cosine[step] * (step + 1) / 5 for step in range(4)])
    assert method.rates[4:] == pytest.approx(cosine[4:steps], abs=1e-9) and steps == 16


def test_a_frozen_encoder_takes_no_rates() -> None:
    for settings in ({"first_layer_rate": 0.1}, {"linear_first_steps": 5}):
        with pytest.raises(UserError, match="a frozen encoder learns at no rate"):
            supervised(freeze_encoders=True, **settings)


def test_the_first_layers_of_a_pretrained_encoder_learn_slower():
    method = supervised(first_layer_rate=0.1)
    assert [group["lr"] for group in method.parameter_groups()] == [1e-3, 1e-3]
    method.pretrained = True
    _, *groups = method.parameter_groups()
    rates = [group["lr"] for group in groups]
    assert rates[0] == pytest.approx(5e-5) and rates[-1] == pytest.approx(5e-4) and rates == sorted(rates)
    assert np.ptp(np.diff(np.log(rates))) < 1e-9
    assert next(method.encoder.parameters()) is groups[0]["params"][0]
    assert sum(len(group["params"]) for group in groups) == len(list(method.encoder.parameters()))


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_pretrained_encoder_stands_still_at_first(root, pretrained):
    class Watched(Supervised):
        def on_before_zero_grad(self, optimizer):
            states = {name: value.clone() for name, value in self.encoder.state_dict().items()}
            self.states = [*self.__dict__.get("states", []), (states, self.classifier.weight.detach().clone())]

    data = StoreDataModule(str(root), batch_size=8, dev_data_ratio=0.2)
    data.setup()
    method = Watched(facts=data.facts, front_end=front_end(), backbone_type="SmallResNetEncoder", linear_first_steps=5)
    method.pretrained = pretrained
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    trainer(max_epochs=3).fit(method, datamodule=data)  # 3 or 4 steps an epoch
    moved = [any(not torch.equal(state[name], before[name]) for name in before) for state, _ in method.states]
    first = moved.index(True)
    assert all(moved[first:]) and (first >= 5) == pretrained
    assert not torch.equal(method.states[1][1], method.states[3][1])  # the classifier learns all along


def test_class_weights_follow_the_data():
    assert supervised().class_weight.tolist() == [1.0, 2.0, 0.0]
    assert supervised(use_class_weight=False).class_weight.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [(1.0, 2.0, 0.0), (1.0, 1.0, 1.0), ()])
def test_the_constant_loss_is_the_best_of_all_constants(weights, smoothing):
    """What descent over one vector of scores for all samples arrives at, under the recipe's weights and smoothing."""
    facts = DataFacts(("a", "b", "c"), SAMPLING_RATE, 1000, weights)
    method = Supervised(
        facts=facts, front_end=front_end(), backbone_type="SmallResNetEncoder", label_smoothing=smoothing
    )
    label = torch.tensor([0] * 7 + [1] * 3 + [2] * 2)
    score = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([score], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = weighted_cross_entropy(
            score.log_softmax(-1).expand(12, 3), label, method.class_weight, label_smoothing=smoothing
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    assert method.constant_losses(label)["train/loss"] == pytest.approx(float(closure()), abs=1e-4)


def test_stacked_traces_classify(root):
    data = StoreDataModule(str(root), batch_size=8, return_single_spectrogram_train=False)
    data.setup()
    method = StackedTraceClassifier("ResNet18", facts=data.facts, front_end=front_end())
    run = trainer(limit_train_batches=1)
    run.fit(method, datamodule=data)
    with pytest.raises(UserError, match="return_single_spectrogram_train=false"):
        method.train().predict_log_probability(batch(traces=1))
    (first,) = run.predict(method, data.test_dataloader())
    assert first["output"].shape == (8, 2) and first["embedding"].shape == (8, 512)


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


def test_a_frozen_encoder_needs_no_learning_rate():
    """A scalar rate of one YAML file and ``LR.clf`` of another leave none for the encoder."""
    given = {"facts": FACTS, "front_end": front_end(), "backbone_type": "SmallResNetEncoder", "LR": {"clf": 0.1}}
    (group,) = Supervised(**given, freeze_encoders=True).parameter_groups()
    assert group["lr"] == 0.1
    tuned = Supervised(**given)
    assert [group["lr"] for group in tuned.parameter_groups()] == [0.1, 0.1]  # from scratch
    tuned.pretrained = True
    with pytest.raises(UserError, match="there is none for encoder; set exp_params.LR.encoder"):
        tuned.parameter_groups()
