from __future__ import annotations

import numpy as np
import pytest
import torch

from seisml.data.balanced import BalancedDataModule, BalancedSampler
from seisml.data.windows import Windows
from seisml.errors import UserError
from tests.stores import write_store

GROUPS = [Windows.at(np.arange(3)), Windows.at(np.arange(10, 20))]


def test_every_turn_holds_one_row_of_each_group():
    keys = list(BalancedSampler(GROUPS, seed=0))
    rows = np.array([key.record for key in keys]).reshape(-1, 2)
    assert len(keys) == len(BalancedSampler(GROUPS, 0)) == 20
    assert set(rows[:, 0]) == {0, 1, 2} and sorted(rows[:, 1]) == list(range(10, 20))
    counts = np.bincount(rows[:, 0])
    assert counts.max() - counts.min() <= 1


def test_the_epoch_of_a_key_counts_the_passes_through_its_group():
    sampler = BalancedSampler(GROUPS, seed=0)
    keys = []
    for epoch in (5, 6):
        sampler.set_epoch(epoch)
        keys += sampler
    assert len(set(keys)) == len(keys)
    assert {key.epoch for key in keys if key.record >= 10} == {5, 6}
    assert {key.epoch for key in keys if key.record < 10} == set(range(20, 28))  # four passes an epoch


def test_order_depends_on_seed_and_epoch_alone():
    first, again, other = BalancedSampler(GROUPS, 0), BalancedSampler(GROUPS, 0), BalancedSampler(GROUPS, 1)
    assert list(first) == list(again) != list(other)
    again.set_epoch(1)
    assert [key.record for key in first] != [key.record for key in again]


def test_ranks_share_the_turns():
    whole = list(BalancedSampler(GROUPS, 0))
    parts = [list(BalancedSampler(GROUPS, 0, rank, 2)) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(whole)


def test_batches_hold_as_many_of_each_class(tmp_path):
    data = BalancedDataModule(str(write_store(tmp_path / "store", n_events=31)), batch_size=8)
    data.setup()
    batches = list(data.train_dataloader())
    for batch in batches[:-1]:
        assert batch["label"].bincount().tolist() == [4, 4]
    seen = {int(row) for batch in batches for row in batch["index"]}
    assert seen == set(data.split.train.tolist())


def test_the_last_incomplete_batch_is_left_out_on_request(tmp_path):
    root = str(write_store(tmp_path / "store", n_events=31))
    for drop_last, sizes in ((False, [16, 8]), (True, [16])):
        data = BalancedDataModule(root, batch_size=16, drop_last=drop_last)
        data.setup()
        assert [len(batch["index"]) for batch in data.train_dataloader()] == sizes


def test_refusals(tmp_path):
    root = str(write_store(tmp_path / "store"))
    data = BalancedDataModule(root, batch_size=7)
    data.setup()
    with pytest.raises(UserError, match="batch_size: 7.*set 6"):
        data.train_dataloader()


def test_training_labels_are_those_of_balanced_batches(tmp_path):
    root = write_store(tmp_path / "store", n_events=30, classes="aab")
    data = BalancedDataModule(str(root), batch_size=8)
    data.setup()
    met = torch.cat([batch["label"] for batch in data.train_dataloader()])
    assert data.training_labels().bincount().tolist() == met.bincount().tolist()
    assert data.training_labels().float().mean() == 0.5
