from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisml.data.datamodule import StoreDataModule
from seisml.data.hold_out import write_held_out
from seisml.datasets.mixture import MixtureDataModule
from seisml.store.content import UNKNOWN, content_hashes, known_content
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from tests.stores import write_store


def copy_of(store: Path, folder: Path, rows: range, gain: float = 2.5e-6, rename: str = "other") -> Path:
    """Some records of a store in another unit, with an offset, under other names, some traces alone."""
    source = Store(store)
    with StoreWriter(folder, {"test": True}, None) as writer:
        for row in rows:
            waveform, _ = source.read_records(np.array([row]))
            kept = waveform[0, : 1 + row % 3].astype(np.float64) * gain + 1e-4
            writer.add(
                kept.astype(np.float32),
                {"trace_category": "ab"[row % 2], "source_id": f"{rename}{row}", "trace_sampling_rate_hz": 100.0},
            )
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("held_out")
    first = write_store(folder / "first", n_events=20)
    return first, copy_of(first, folder / "second", range(12, 20))


def test_the_same_recording_has_the_same_content_whatever_its_unit_and_name(stores):
    (first, row), (second, copied) = (content_hashes(Store(path), np.arange(len(Store(path)))) for path in stores)
    assert len(np.unique(first)) == len(first) == 60  # each trace is another
    for hash_, record in zip(second, copied, strict=True):
        assert row[first == hash_].tolist() == [record + 12]


def test_smooth_and_dead_traces_tell_nothing(tmp_path):
    time = np.arange(3000) / 100
    with StoreWriter(tmp_path / "store", {"test": True}, None) as writer:
        traces = np.stack([np.zeros(3000), np.sin(time), np.random.default_rng(0).standard_normal(3000)])
        writer.add(traces.astype(np.float32), {"trace_sampling_rate_hz": 100.0})
    hashes, _ = content_hashes(Store(tmp_path / "store"), np.array([0]))
    assert hashes[:2].tolist() == [UNKNOWN] * 2 and hashes[2] != UNKNOWN
    assert known_content(hashes).tolist() == [hashes[2]]


def open_(root: Path, **arguments) -> StoreDataModule:
    data = StoreDataModule(str(root), split_procedure="fixed_test", split_by="event", **arguments)
    data.setup()
    return data


def test_what_another_store_tests_on_does_not_train_by_content(stores, tmp_path, capsys):
    first = open_(stores[0])
    listed = write_held_out(
        tmp_path / "held.csv", first.ready_store, np.arange(10, 16)
    )  # 12 to 15 are in the other one
    plain, without = open_(stores[1], is_ssl=True), open_(stores[1], is_ssl=True, hold_out=[str(listed)])
    lost = set(plain.split.train) - set(without.split.train)
    assert lost == set(plain.split.train) & set(range(4)) and len(lost) >= 2
    assert np.array_equal(plain.split.test, without.split.test) and "dataset.hold_out leaves" in capsys.readouterr().out


def test_a_mixture_holds_out_too(stores, tmp_path):
    listed = write_held_out(tmp_path / "held.csv", Store(stores[0]), np.arange(20))
    shorter = write_store(tmp_path / "shorter", n_events=10, n_samples=800)
    alone = copy_of(shorter, tmp_path / "alone", range(10), rename="alone")
    data = MixtureDataModule([str(stores[1]), str(alone)], hold_out=[str(listed)], is_ssl=True, n_samples=800)
    data.setup()
    assert data.split.train.min() >= 8  # all of the second store are copies of the first
