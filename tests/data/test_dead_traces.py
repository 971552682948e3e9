from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.data.dataset import StoreDataset
from seisml.data.dead_traces import constant, live_units
from seisml.data.sampling import Key
from seisml.errors import UserError
from seisml.run.train import train
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from tests.run.test_train import SMALL


def write(folder, live, n_samples=1000, labels="ab"):
    """One record for each row of ``live``, which says which of its traces have a signal; others keep a value."""
    generator = np.random.default_rng(0)
    time = np.arange(n_samples) / 100
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number, row in enumerate(live):
            kind = number % 2
            tone = 20 * np.sin(2 * np.pi * (5 + 15 * kind) * time) * np.exp(-((time - 3) ** 2))
            waveform = tone + generator.standard_normal((len(row), n_samples))
            waveform[~np.array(row, bool)] = 3.0 * (number % 3)
            names = {"trace_category": labels[kind], "source_id": f"event{number:03d}"}
            writer.add(waveform, {**names, "trace_sampling_rate_hz": 100.0})
    return folder


def module(root, **kwargs):
    data = StoreDataModule(str(root), **{"batch_size": 4, "split_procedure": "fixed_test", **kwargs})
    data.setup()
    return data


def dataset(root, n_draws=None, in_channels=1, **kwargs):
    store = Store(root)
    return StoreDataset(store, np.zeros(len(store), np.int64), 1000, 0, n_draws, in_channels, **kwargs)


def test_constant_traces_are_told_from_all_others():
    x = np.random.default_rng(0).standard_normal((3, 4, 50))
    x[0, 1] = 7.0
    x[1, 2, [0, 20, 39]] = 0.0  # equal at the three places that are looked at first
    x[1, 3, :40] = 5.0
    x[1:, :, 40:] = 0.0  # padding
    exists = np.ones((3, 4), bool)
    exists[2, 3], x[2, 3] = False, 0.0
    assert np.argwhere(constant(x, exists, np.array([50, 40, 40]))).tolist() == [[0, 1], [1, 3]]


def test_a_unit_is_dead_where_all_its_components_are():
    x = np.random.default_rng(0).standard_normal((1, 8, 50))
    x[0, [0, 3, 4, 5]] = 1.0
    exists = np.ones((1, 8), bool)
    assert live_units(x, exists, np.array([50]), 3).tolist() == [[True, False]]  # traces 6 and 7 are no whole unit
    assert live_units(x, exists, np.array([50]), 4).tolist() == [[True, True]]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_dead_traces_are_not_drawn_and_live_ones_alike(tmp_path, num_workers):
    root = write(tmp_path / "store", [[0, 1, 0, 1, 1]] * 2)
    reader = dataset(root, n_draws=2)
    keys = [Key(epoch, row) for epoch in range(1500) for row in range(2)]
    batch = reader.__getitems__(keys)
    counts = batch["trace"].flatten().bincount(minlength=5)
    assert counts[[0, 2]].tolist() == [0, 0] and counts[[1, 3, 4]].min() > 0.94 * counts[[1, 3, 4]].float().mean()
    np.testing.assert_array_equal(batch["waveform"], reader.store.read_traces(batch["index"], batch["trace"]))
    pairs = batch["trace"][:, 0] * 5 + batch["trace"][:, 1]
    assert len(pairs.unique()) == 9  # the two draws are independent
    alone = reader[keys[77]]
    assert torch.equal(alone["trace"][0], batch["trace"][77]) and torch.equal(
        alone["waveform"][0], batch["waveform"][77]
    )
    one, two = (module(write(tmp_path / f"store{n}", [[0, 1, 0]] * 12), is_ssl=True, num_workers=n) for n in (0, 2))
    for left, right in zip(one.train_dataloader(), two.train_dataloader(), strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left) and (left["trace"] == 1).all()


def test_units_of_components(tmp_path):
    reader = dataset(write(tmp_path / "store", [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]), 1, in_channels=3)
    batch = reader.__getitems__([Key(epoch, row) for epoch in range(20) for row in range(2)])
    assert (
        (batch["index"] == 0).all() and (batch["trace"] == torch.tensor([3, 4, 5])).all() and len(batch["trace"]) == 20
    )
    batch = dataset(tmp_path / "store", in_channels=3).__getitems__([Key(0, 0), Key(0, 1)])
    assert batch["trace_mask"].tolist() == [[False] * 3 + [True] * 3]


def test_ensembles_leave_them_out_and_keep_takes_them(tmp_path, capsys):
    root = write(tmp_path / "store", [[0, 1, 0], [1, 1], [0, 0, 0], [0, 0]])
    keys = [Key(0, row) for row in range(4)]
    reader = dataset(root)
    batch = reader.__getitems__(keys)
    assert batch["index"].tolist() == [0, 1]
    assert batch["trace_mask"].tolist() == [[False, True, False], [True, True, False]]
    assert len({len(values) for values in batch.values()}) == 1
    reader.__getitems__(keys)
    said = capsys.readouterr().out
    assert said.count("dead traces alone") == 1 and "(row 2)" in said and "dataset.dead_traces=keep" in said
    batch = dataset(root, dead_traces="keep").__getitems__(keys)
    assert batch["trace_mask"].sum(1).tolist() == [3, 2, 3, 2]
    drawn = dataset(root, n_draws=1, dead_traces="keep").__getitems__([Key(epoch, 0) for epoch in range(50)])
    assert drawn["trace"].unique().tolist() == [0, 1, 2]


def test_a_window_is_judged_by_itself(tmp_path):
    """A gap filled with zeros in a long record: its windows are passed over, whole batches of them too."""
    root = write(tmp_path / "store", [[1]] * 2, n_samples=20_000)
    with StoreWriter(tmp_path / "gap", {"test": True}, None) as writer:
        waveform, _ = Store(root).read_records(np.array([0]))
        waveform[0, :, 5000:15_000] = 0.0
        writer.add(waveform[0], {"trace_sampling_rate_hz": 100.0})
    data = module(tmp_path / "gap", is_ssl=True, window_length=10.0, batch_size=2)
    batches = list(data.evaluation_loader(np.array([0])))
    assert [batch["start"].tolist() for batch in batches] == [
        [0, 1000], [2000, 3000], [4000], [15_000], [16_000, 17_000], [18_000, 19_000]
    ]  # fmt: skip


def test_nothing_but_dead_traces_is_said_in_one_line(tmp_path):
    data = module(write(tmp_path / "store", [[0, 0]] * 12))
    with pytest.raises(UserError, match="whole batch of records with dead traces.*dead_traces=keep"):
        next(iter(data.train_dataloader()))
    with pytest.raises(UserError, match="records asked for have dead traces alone.*dead_traces=keep"):
        list(data.test_dataloader())


def test_training_does_not_suffer_from_dead_traces(tmp_path):
    """39 of 154 events with two of three traces dead trained at 0.92 where live ones alone gave 1.00."""
    live = [[0, 1, 0] if number % 4 < 2 else [1, 1, 1] for number in range(60)]
    live[20] = [0, 0, 0]
    root = write(tmp_path / "store", live)
    overrides = [*SMALL, f"dataset.root={root}", "trainer_params.max_epochs=8", "figures=false"]
    metrics = train(compose("configs/finetune.yaml", overrides), tmp_path / "run").metrics
    assert metrics["test/acc"] == 1.0
