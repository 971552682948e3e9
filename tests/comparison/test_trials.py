from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from seisml.comparison.plan import Probe, read_fraction
from seisml.comparison.trials import inner_splits, make_trials
from seisml.data.grouping import GroupDraw
from seisml.data.splits import make_split
from tests.comparison.options import OPTIONS
from tests.stores import write_network


def test_labels_of_records_are_spread_over_events(tmp_path):
    store = write_network(tmp_path / "store", n_samples=400)
    options = replace(OPTIONS, fractions=(0.5,), overrides=("dataset.split_by=event",))
    by_event, by_record = (
        make_trials(Probe.of(str(store)), replace(options, label_by=unit), tmp_path / unit)[0]
        for unit in ("event", "record")
    )
    assert by_event.whole_hash == by_record.whole_hash and by_event.test_events == by_record.test_events
    assert by_event.parts[0].records == by_record.parts[0].records
    assert by_event.parts[0].events < by_record.parts[0].events


def split_of(n_events: int, n_classes: int) -> tuple:
    names = [f"e{k}" for k in range(n_events)]
    metadata = pd.DataFrame(
        {"trace_name": names, "source_id": names, "trace_category": [f"c{k % n_classes}" for k in range(n_events)]}
    )
    draw = GroupDraw(metadata, metadata["trace_category"].to_numpy(object), 0, "event")
    return make_split(metadata, procedure="fixed_test", by="event"), draw


@pytest.mark.parametrize(("n_events", "n_parts"), [(60, 1), (20, 3), (6, 2)])
def test_dev_parts_are_made_of_training_events(n_events, n_parts):
    split, draw = split_of(n_events, 2)
    found = inner_splits(split, draw)
    assert len(found) == n_parts
    for inner in found:
        assert set(inner.train) | set(inner.test) == set(split.train) and not set(inner.train) & set(inner.test)
        assert set(draw.labels[inner.train]) == {"c0", "c1"} and len(inner.test)


def test_one_event_per_class_leaves_nothing_to_choose_by():
    names = ["e0", "e1", "e2", "e3"]
    metadata = pd.DataFrame({"trace_name": names, "source_id": names, "trace_category": list("abab")})
    draw = GroupDraw(metadata, metadata["trace_category"].to_numpy(object), 0, "event")
    split = make_split(metadata, procedure="fixed_test", by="event", test_data_ratio=0.5, train_data_ratio=0.5)
    assert inner_splits(split, draw) == []


def test_a_store_alone_is_split_by_events(tmp_path):
    store = write_network(tmp_path / "2020-01-01T00:00 (é), it's", n_samples=400)
    (trial,) = make_trials(Probe.of(str(store)), replace(OPTIONS, seeds=1, fractions=(0.5,)), tmp_path / "out")
    assert trial.folder == tmp_path / "out" / store.name / "seed0" and len(trial.test_events) == 4
    assert Probe.of(f"mine:{store}").name == "mine"


def test_shares_are_read():
    assert [read_fraction(text) for text in ("1event", "0.05", "1")] == [0.0, 0.05, 1.0]
