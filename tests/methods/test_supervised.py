"""Learning from labels: traces of an event, weights of classes, what a constant answer would lose."""

from __future__ import annotations

import pytest
import torch

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.losses.cross_entropy import weighted_cross_entropy
from seisml.methods.classifier import ensemble
from seisml.methods.langet import StackedTraceClassifier
from seisml.methods.supervised import Supervised
from seisml.tasks.facts import DataFacts
from tests.methods.recipes import batch, front_end, supervised, trainer
from tests.stores import SAMPLING_RATE


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


def test_supervised_augmentations_act_in_training_only():
    method = supervised(augmentations=["RandomAmplitudeJitter"])
    shown = []
    method.encoder.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    with torch.no_grad():
        for mode in (True, False):
            method.train(mode).predict_log_probability(batch())
    factor = (shown[0] / shown[1]).nanmean((1, 2, 3))
    assert (factor - 1).abs().max() > 0.02 and factor.min() >= 0.7 and factor.max() <= 1.3


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
