"""A run with averaged weights looks at, saves, tests and ends with the averages, and trains as it would without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seisml.config.compose import compose
from seisml.errors import UserError
from seisml.run.build import load_method
from seisml.run.checkpoints import encoder_state, read_checkpoint
from seisml.run.train import open_data, train
from seisml.run.watching.finite_loss import FiniteLoss
from seisml.run.watching.monitors import KNNProbe
from seisml.run.weights.averaged import average, decay_after
from tests.run.resuming.runs import FINETUNE, configured
from tests.stores import write_store

DECAY = 0.9


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("averaged") / "store", n_events=40, unlabelled=8)


def copied(method):
    return {name: value.clone() for name, value in method.state_dict().items()}


def expected(states):
    """The average after each step, one number after the other, in float64."""
    mean, means = {}, []
    for n, state in enumerate(states):
        keep = min(DECAY, (1 + n) / (10 + n)) if n else 0.0
        mean = {
            name: keep * mean.get(name, 0.0) + (1 - keep) * value.double() if value.is_floating_point() else value
            for name, value in state.items()
        }
        means.append(mean)
    return means


def assert_close(state, mean, prefix=""):
    assert {f"{prefix}{name}" for name in state} <= set(mean)
    for name, value in state.items():
        torch.testing.assert_close(value.to(mean[prefix + name].dtype), mean[prefix + name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("looks", ["1", "null"], ids=["each epoch", "each second step"])
def test_what_is_best_last_probed_saved_and_tested_is_the_average(store, tmp_path, monkeypatch, looks):
    states, probed = [], []

    def note(callback, trainer, method, outputs, batch, batch_idx):
        states.append(copied(method))

    monkeypatch.setattr(FiniteLoss, "on_train_batch_end", note)
    monkeypatch.setattr(KNNProbe, "on_train_epoch_end", lambda _, trainer, method: probed.append(copied(method)))
    often = ["+trainer_params.val_check_interval=2"] if looks == "null" else []
    config, overrides = configured(
        store, FINETUNE, tmp_path / "run", f"exp_params.ema_decay={DECAY}", "exp_params.model_save_ep_period=1",
        f"+trainer_params.check_val_every_n_epoch={looks}", *often,
    )  # fmt: skip
    result = train(compose(config, overrides), tmp_path / "run")
    means = expected(states)
    assert len(means) == 9 and len(probed) == 3
    for epoch, state in enumerate(probed):
        assert_close(state, means[3 * epoch + 2])
    saved = sorted((tmp_path / "encoders").iterdir())
    for epoch, path in enumerate(saved):
        assert_close(encoder_state(read_checkpoint(path), path), means[3 * epoch + 2], "encoder.")
    last, best = (read_checkpoint(tmp_path / "run" / "checkpoints" / f"{name}.ckpt") for name in ("last", "best"))
    assert_close(last["state_dict"], means[-1])
    assert_close(best["state_dict"], means[best["global_step"] - 1])
    assert "optimizer_states" not in best
    tested = load_method(result.checkpoint)
    assert all(torch.equal(value, best["state_dict"][name]) for name, value in tested.state_dict().items())


def test_the_weights_that_train_are_not_touched(store, tmp_path, monkeypatch):
    states = []
    monkeypatch.setattr(FiniteLoss, "on_before_backward", lambda _, __, method, loss: states.append(copied(method)))
    for decay in ("null", DECAY):
        folder = tmp_path / str(decay)
        settings = [f"exp_params.ema_decay={decay}", "trainer_params.max_epochs=2"]
        config, overrides = configured(store, FINETUNE, folder, *settings)
        train(compose(config, overrides), folder)
    half = len(states) // 2
    assert half > 5 and len(states) == 2 * half
    for one, other in zip(states[:half], states[half:], strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_statistics_of_batch_norm_are_those_of_the_averaged_weights(store, tmp_path):
    """As the averaged network computes them anew; one that forgets slowly from the start is 1.2 to 8 times off."""
    config, overrides = configured(
        store, FINETUNE, tmp_path / "run", "exp_params.ema_decay=0.99", "trainer_params.max_epochs=10",
        "exp_params.knn_acc_record_ep_period=-1", "dataset.dev_data_ratio=0", "front_end.size=[16,32]",
    )  # fmt: skip
    cfg = compose(config, overrides)
    method = load_method(train(cfg, tmp_path / "run").checkpoint)
    data = open_data(cfg, tmp_path, None)
    norms = [module for module in method.modules() if isinstance(module, nn.BatchNorm2d)]
    averaged = [norm.running_var.clone() for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
        norm.reset_running_stats()
    method.train()
    with torch.no_grad():
        for batch in [*data.train_dataloader(), *data.train_dataloader()]:
            method.encode_traces(batch)
    ratios = [float((one / norm.running_var).median()) for one, norm in zip(averaged, norms, strict=True)]
    # in 40 steps the first layer's statistics have not yet left what every network begins with
    assert len(ratios) > 10 and all(0.85 < ratio < 1.15 for ratio in ratios[1:]), ratios


def test_an_average_forgets_what_it_began_with():
    assert [decay_after(n, 0.99) for n in (1, 8, 10_000)] == [2 / 11, 0.5, 0.99]
    for decay, most in ((0.999, 1e-12), (0.5, 1e-12)):
        mean, counter = [torch.ones(2)], [torch.zeros(1, dtype=torch.int64)]
        for n in range(1, 300):
            average(mean, [torch.zeros(2)], n, decay)
            average(counter, [torch.full((1,), n)], n, decay)
        assert mean[0].max() < most and counter[0].item() == 299


def test_what_makes_no_steps_has_nothing_to_average(store, tmp_path):
    overrides = [f"dataset.root={store}", "dataset=store", "+experiment=attributes", "exp_params.ema_decay=0.9"]
    with pytest.raises(UserError, match="exp_params.ema_decay: .* is fitted at once"):
        train(compose("configs/finetune.yaml", [*overrides, "trainer_params.gpus=[]"]), tmp_path / "run")
