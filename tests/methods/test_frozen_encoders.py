"""Encoders that stand still: their numbers, what is remembered of them, and what they need no more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.methods.feature_table import FeatureTable
from seisml.methods.supervised import Supervised
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from tests.methods.recipes import FACTS, batch, front_end, supervised, trainer


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


def frozen(root, most=10**6, augmentations=(), dev=0.25, data=None, **settings):
    """Train a classifier on a frozen encoder; traces that this looked at, in all, and in eval mode; the classifier."""
    data = StoreDataModule(str(root), batch_size=8, dev_data_ratio=dev, **(data or {}))
    data.setup()
    torch.manual_seed(0)
    method = Supervised(
        facts=data.facts, front_end=front_end(), backbone_type="SmallResNetEncoder", freeze_encoders=True,
        augmentations=augmentations,
    )  # fmt: skip
    method.most_features = most
    looks = []
    method.encoder.register_forward_hook(lambda _, inputs, __: looks.append((len(inputs[0]), method.training)))
    trainer(num_sanity_val_steps=0, **settings).fit(method, datamodule=data)  # as in a run
    assert method.encoder.state_dict()["model.bn1.num_batches_tracked"] == 0  # in eval mode while training
    total, training = (sum(n for n, mode in looks if mode or every) for every in (True, False))
    return total, training, method.classifier.weight


def test_a_frozen_encoder_looks_at_each_trace_once(root):
    """32 events of 3 traces, a quarter of them in the dev part, on which every epoch looks, too."""
    two, six = (frozen(root, max_epochs=n) for n in (2, 6))
    assert two[:2] == six[:2] == (32 * 3, 0)
    n_dev, n_train = 8, 24
    every_time = frozen(root, most=0, max_epochs=6)
    assert every_time[:2] == (6 * (n_dev * 3 + n_train), 6 * n_train)  # a drawn trace an event, all of the dev part
    torch.testing.assert_close(six[2], every_time[2])


class Reads(Callback):
    """Epochs in which this process reads records, and those whose batches come with waveforms, dev part included."""

    def __init__(self, monkeypatch):
        self.epoch, self.found, self.carried = 0, set(), set()
        for name in ("read_into", "read_records"):
            monkeypatch.setattr(Store, name, self.counting(getattr(Store, name)))

    def counting(self, read):
        def counted(*args, **kwargs):
            self.found.add(self.epoch)
            return read(*args, **kwargs)

        return counted

    def on_train_epoch_start(self, trainer, pl_module):
        self.epoch = trainer.current_epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.carried |= {self.epoch} if "waveform" in batch else set()

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self.on_train_batch_start(trainer, pl_module, batch, batch_idx)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_later_epochs_read_no_waveforms(root, monkeypatch, single, num_workers):
    """And learn what they learnt when they read them, to the last bit."""
    reads, settings = Reads(monkeypatch), {"return_single_spectrogram_train": single}
    weights = frozen(root, max_epochs=4, callbacks=[reads], data={**settings, "num_workers": num_workers})[2]
    assert reads.found <= {0} and reads.carried == {0}
    monkeypatch.setattr(StoreDataModule, "lasting_places", lambda *_, **__: None)
    assert torch.equal(weights, frozen(root, max_epochs=4, callbacks=[reads], data=settings)[2])
    assert reads.found == reads.carried == {0, 1, 2, 3}


@pytest.mark.parametrize("settings", [{}, {"window_length": 3.0, "window_overlap": 0.5}, {"in_channels": 3}])
def test_places_that_epochs_come_back_to_are_known_before_they_are_read(root, settings):
    data = StoreDataModule(str(root), batch_size=8, dev_data_ratio=0.25, **settings)
    data.setup()
    met = [
        (row, start, int(trace))
        for loader in data.lasting_loaders()
        for batch in loader
        for row, start, traces, mask in zip(
            batch["index"].tolist(), batch["start"].tolist(), batch["trace"], batch["trace_mask"], strict=True
        )
        for trace in traces[mask][:: data.in_channels]
    ]
    places = data.lasting_places(False, most=len(met))
    assert sorted(map(tuple, places.tolist())) == sorted(met) and len(met) >= 32
    assert data.lasting_places(False, most=len(met) - 1) is None


def test_epochs_read_what_no_table_holds(root, tmp_path, monkeypatch):
    """Waveforms that change, those beyond a full table, and those that tell which traces are dead."""
    with StoreWriter(tmp_path / "store", {"test": True}, None) as writer:
        for row in range(32):
            waveform = np.random.default_rng(row).standard_normal((3, 1000)).astype(np.float32)
            waveform[row % 3] *= row % 4 > 0
            about = {"trace_category": "ab"[row % 2], "source_id": str(row), "trace_sampling_rate_hz": 100.0}
            writer.add(waveform, about)
    reads = Reads(monkeypatch)
    jitter = {"augmentations": ["RandomAmplitudeJitter"]}
    for store, settings in ((root, {"most": 95}), (root, jitter), (tmp_path / "store", {})):
        reads.found.clear()
        frozen(store, max_epochs=3, callbacks=[reads], **settings)
        assert reads.found == reads.carried == {0, 1, 2}


def test_a_table_that_is_full_leaves_the_rest_to_the_encoder(root):
    part = frozen(root, most=50, max_epochs=6)
    assert 48 < part[0] < 6 * (8 * 3 + 24) and part[1] > 0
    torch.testing.assert_close(part[2], frozen(root, max_epochs=6)[2])


def test_a_frozen_encoder_looks_anew_at_what_changes(root):
    total, training, _ = frozen(root, augmentations=["RandomAmplitudeJitter"], max_epochs=3)
    assert (total, training) == (8 * 3 + 3 * 24, 3 * 24)  # the dev part once


def test_less_than_an_epoch_fills_no_table(root):
    assert frozen(root, dev=0.0, max_steps=2, max_epochs=-1)[:2] == (16, 16)


@pytest.mark.parametrize("places", [[], [(0, 0, 1)], [(7, 0, 0), (0, 500, 1), (0, 0, 1), (2**40, 2**60, 0)]])
def test_recalled_features_are_those_of_their_window_and_trace(places):
    rows = torch.tensor(places, dtype=torch.int64).reshape(-1, 3)
    table = FeatureTable.filled([(row[None], row[None].double) for row in rows], 100)
    asked = [(0, 500, 1), (7, 0, 0), (0, 0, 1), (7, 500, 1), (2**40, 2**60, 0), (1, 2, 3), (0, 500, 1)]
    keys, looked = torch.tensor(asked), []

    def look(new):
        looked.extend(asked[position] for position in new)
        return keys[new].double()

    assert table.recall(keys, look).tolist() == keys.double().tolist()
    assert looked == [place for place in asked if place not in places]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"places": None}, "has not places and features"),
        ({"places": torch.zeros(2, 3)}, "are not three whole numbers each"),
        ({"places": torch.zeros(2, 2).long()}, "are not three whole numbers each"),
        ({"features": torch.zeros(2, 5)}, r"has shape \(2, 5\), not \(2, 4\)"),
        ({"features": torch.zeros(1, 4)}, r"has shape \(1, 4\), not \(2, 4\)"),
        ({"features": torch.full((2, 4), torch.nan)}, "what is not a finite number"),
        ({"features": torch.zeros(2, 4).long()}, "what is not a finite number"),
    ],
)
def test_a_table_of_a_file_is_checked(change, words):
    table = FeatureTable(torch.tensor([[0, 0, 0], [1, 0, 0]]), torch.ones(2, 4))
    cpu = torch.device("cpu")
    assert FeatureTable.restored(table.state(), 4, cpu).holds(table.places)
    given = {name: value for name, value in {**table.state(), **change}.items() if value is not None}
    with pytest.raises(UserError, match=words):
        FeatureTable.restored(given, 4, cpu)


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


def test_a_frozen_encoder_takes_no_rates() -> None:
    for settings in ({"first_layer_rate": 0.1}, {"linear_first_steps": 5}):
        with pytest.raises(UserError, match="a frozen encoder learns at no rate"):
            supervised(freeze_encoders=True, **settings)


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
