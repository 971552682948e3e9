from __future__ import annotations

import multiprocessing
import pickle

import h5py
import numpy as np
import pytest

from seisml.datasets.tremor.data_module import TremorDataModule
from seisml.datasets.tremor.file import TremorFile
from seisml.errors import UserError

N, T = 40, 200


def write_file(path, n=N, t=T, chunks=None, dtype=np.float32, **changes):
    generator = np.random.default_rng(0)
    values = {
        "X": generator.standard_normal((n, t)).astype(dtype),
        "y": np.arange(n) % 2,
        "source": np.array([f"event{k // 4:02d}_{k % 4}".encode() for k in range(n)]),
    }
    values["y"] = (np.arange(n) // 4) % 2  # the four stations of an event share its label
    values |= changes
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            if value is not None:
                file.create_dataset(name, data=value, chunks=chunks if name == "X" else None)
        file.attrs["sampling_rate"] = 20.0
    return path, values


@pytest.mark.parametrize(("chunks", "dtype"), [(None, np.float32), ((1, T), np.float64), (None, ">f4")])
def test_reads_what_is_there(tmp_path, chunks, dtype):
    path, values = write_file(tmp_path / "t.h5", chunks=chunks, dtype=dtype)
    store = TremorFile(path)
    rows = np.array([5, 5, 39, 0])
    expected = values["X"][rows].astype(np.float32)
    np.testing.assert_array_equal(store.read_traces(rows, np.zeros((4, 1), int))[:, 0], expected)
    cut = store.read_traces(rows, np.zeros((4, 2), int), np.array([0, 150, -10, 300]), 100)
    np.testing.assert_array_equal(cut[0, 1], expected[0, :100])
    np.testing.assert_array_equal(cut[1, 0], np.concatenate([expected[1, 150:], np.zeros(50)]))
    np.testing.assert_array_equal(cut[2, 0], np.concatenate([np.zeros(10), expected[2, :90]]))
    assert not cut[3].any()
    whole, mask = store.read_records(rows, 250)
    assert whole.shape == (4, 1, 250) and mask.all() and not whole[..., T:].any()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_works_in_other_processes(tmp_path, method):
    path, values = write_file(tmp_path / "t.h5", chunks=(1, T))
    store = TremorFile(path)
    store.read_traces(np.array([0]), np.zeros((1, 1), int))  # open here first
    with multiprocessing.get_context(method).Pool(1) as pool:
        read = pool.apply(store.read_traces, (np.array([3, 4]), np.zeros((2, 1), int)))
    np.testing.assert_array_equal(read[:, 0], values["X"][[3, 4]])
    assert len(pickle.dumps(store)) < 100_000


def test_metadata_knows_events_and_stations(tmp_path):
    path, _ = write_file(tmp_path / "t.h5")
    store = TremorFile(path)
    assert store.metadata["source_id"].tolist()[:5] == ["event00"] * 4 + ["event01"]
    assert store.metadata["trace_category"].tolist()[:5] == ["none"] * 4 + ["tremor"]


def test_published_layout_without_source_or_rate(tmp_path):
    path, _ = write_file(tmp_path / "t.h5", n=6, t=20_000, source=None, y=np.arange(6).reshape(6, 1) % 2)
    with h5py.File(path, "a") as file:
        del file.attrs["sampling_rate"]
    store = TremorFile(path)
    assert store.sampling_rate[0] == 20.0 and store.metadata["source_id"].nunique() == 6
    data = TremorDataModule(str(path), batch_size=2)
    data.setup()
    assert len(data.split.train) == 4 and len(data.split.test) == 2


def test_split_keeps_events_together_and_batches_have_the_agreed_shape(tmp_path):
    path, values = write_file(tmp_path / "t.h5")
    data = TremorDataModule(str(path), batch_size=8)
    data.setup()
    assert data.facts.classes == ("none", "tremor")
    assert (data.facts.sampling_rate, data.facts.n_samples) == (20.0, T)
    assert (len(data.split.train), len(data.split.test)) == (28, 12)
    batch = next(iter(data.train_dataloader()))
    assert batch["waveform"].shape == (8, 1, T) and batch["epoch"].tolist() == [0] * 8
    np.testing.assert_array_equal(batch["waveform"][:, 0], values["X"][batch["index"]])
    np.testing.assert_array_equal(batch["label"], values["y"][batch["index"]])
    assert next(iter(data.test_dataloader()))["trace_mask"].shape == (8, 1)


def test_shared_file_is_split_by_source(shared_data):
    data = TremorDataModule(str(shared_data / "tremor" / "tremor_20hz_80s.h5"), balanced=True, batch_size=16)
    data.setup()
    metadata = data.ready_store.metadata
    assert metadata["trace_category"].value_counts().to_dict() == {"none": 180, "tremor": 36}
    tremor = metadata.loc[metadata["trace_category"] == "tremor", "source_id"]
    assert sorted(tremor.unique()) == ["CAU_TR_1", "CAU_TR_2", "NVCh_TR_1", "NVCh_TR_2", "redoubt"]
    assert (metadata["source_id"] == "2020.088.13").sum() == 120  # one hour at four stations
    assert not set(metadata["source_id"][data.split.train]) & set(metadata["source_id"][data.split.test])
    assert next(iter(data.train_dataloader()))["label"].bincount().tolist() == [8, 8]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": None}, "no data set 'X'"),
        ({"y": None}, "no data set 'y'"),
        ({"X": np.zeros((N, 1, T))}, "X has the shape"),
        ({"y": np.zeros(N - 1)}, "y has the shape"),
        ({"y": np.full(N, 2)}, r"y\[0\] is 2"),
        ({"y": np.zeros(N, int)}, "all 40 windows are 'none'"),
        ({"source": np.array([b"a"])}, "source has the shape \\(1,\\)"),
    ],
)
def test_wrong_files_are_refused(tmp_path, changes, message):
    path, _ = write_file(tmp_path / "t.h5", **changes)
    with pytest.raises(UserError, match=message):
        TremorDataModule(str(path)).setup()


def test_missing_truncated_and_rateless_files(tmp_path):
    with pytest.raises(UserError, match="no file"):
        TremorDataModule(str(tmp_path / "none.h5")).setup()
    path, _ = write_file(tmp_path / "t.h5")
    whole = path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated|not readable as HDF5"):
        TremorFile(tmp_path / "cut.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["sampling_rate"]
    with pytest.raises(UserError, match="sampling rate"):
        TremorFile(path)
    with pytest.raises(UserError, match="regular expression"):
        TremorFile(path, 20.0, "(")
