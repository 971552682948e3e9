"""A dev part that is made of what trains, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from seisml.config.compose import compose
from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from tests.stores import write_network, write_store


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("dev_part") / "network")


def module(root, **settings):
    data = StoreDataModule(str(root), **{"split_procedure": "fixed_test", "split_by": "event", **settings})
    data.setup()
    return data


def events(data, rows):
    return set(data.ready_store.metadata["source_id"].iloc[rows])


@pytest.mark.parametrize("by", ["event", "time", "station"])
def test_it_is_a_share_of_the_training_events_and_the_test_part_stays(network, by):
    few = {"train_data_ratio": 0.4, "split_by": by}
    plain = module(network, **few)
    data = module(network, **few, dev_data_ratio=0.25, dev_from="train")
    assert len(data.split.dev) and not data.no_dev
    np.testing.assert_array_equal(data.split.test, plain.split.test)
    if by != "station":  # there events seen on both sides keep their records on one
        np.testing.assert_array_equal(np.union1d(data.split.train, data.split.dev), plain.split.train)
    assert not events(data, data.split.train) & events(data, data.split.dev)
    assert len(data.split.dev) < len(data.split.train) < len(plain.split.train)
    assert data.split.hash != plain.split.hash


def test_few_labels_stay_few(network):
    few = {"train_data_ratio": 0.2, "dev_data_ratio": 0.5}
    beside, within = module(network, **few), module(network, **few, dev_from="train")
    assert len(events(beside, beside.split.train)) == 2 < len(events(beside, beside.split.dev))
    assert len(events(within, within.split.train)) == len(events(within, within.split.dev)) == 2


def test_it_comes_out_of_the_parts_that_a_file_names(network, tmp_path):
    module(network, train_data_ratio=0.4).write_split(tmp_path / "split.csv")
    asked = {"dev_data_ratio": 0.25, "dev_from": "train"}
    data = module(network, split_file=str(tmp_path / "split.csv"), **asked)
    np.testing.assert_array_equal(data.split.dev, module(network, train_data_ratio=0.4, **asked).split.dev)
    data.write_split(tmp_path / "with_dev.csv")  # and a file that names one is taken at its word
    again = module(network, split_file=str(tmp_path / "with_dev.csv"), **asked)
    assert again.split.hash == data.split.hash


def test_pretraining_sees_nothing_of_it(tmp_path):
    root = write_store(tmp_path / "store", n_events=20, unlabelled=6)
    data = module(root, is_ssl=True, dev_data_ratio=0.25, dev_from="train")
    parts = [set(part) for part in (data.split.train, data.split.dev, data.split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 26 and len(parts[1]) == 4


@pytest.mark.parametrize("by", ["event", "time", "station"])
def test_one_event_of_a_class_is_kept_to_train_on(network, by):
    settings = {"train_data_ratio": 0.01, "split_by": by}
    data = module(network, **settings, dev_data_ratio=0.5, dev_from="train")
    assert data.no_dev and not len(data.split.dev)
    assert data.split.hash == module(network, **settings).split.hash


def test_a_share_leaves_something(network):
    with pytest.raises(UserError, match="dataset.dev_data_ratio"):
        compose("configs/finetune.yaml", ["dataset=store", f"dataset.root={network}", "dataset.dev_data_ratio=1.0"])
