"""The store: equality with SeisBench, random access, worker processes, clear errors."""

from __future__ import annotations

import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import torch

from seisml.errors import UserError
from seisml.store import writer as store_writer
from seisml.store.hdf5 import open_hdf5
from seisml.store.store import Store
from seisml.store.writer import StoreWriter

SHAPES = [(3, 50), (1, 40), (3, 50), (24, 30), (1, 40)]


@pytest.fixture(scope="module")
def seisbench_data():
    return pytest.importorskip("seisbench.data")


def make_records(seed=0):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(np.float32) for shape in SHAPES]


def write(path, records, **options):
    with StoreWriter(path, options, overwrite=True) as writer:
        for i, record in enumerate(records):
            row = {
                "trace_category": "NA" if i == 0 else "event",
                "source_id": f"00{i}",
                "trace_sampling_rate_hz": 100.0,
            }
            if len(record) == 3:
                row["trace_component_order"] = "ZNE"
            writer.add(
                record,
                {**row, "station_latitude_deg": 62.1 + i / 3, "trace_start_time": f"2020-01-01T00:00:0{i}.000000Z"},
            )
    return path


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "made", make_records())


def test_round_trip(root):
    store, records = Store(root), make_records()
    assert len(store) == 5
    assert store.n_traces.tolist() == [3, 1, 3, 24, 1]
    assert store.n_samples.tolist() == [50, 40, 50, 30, 40]
    assert store.sampling_rate.tolist() == [100.0] * 5
    assert store.metadata["trace_category"].tolist() == ["NA"] + ["event"] * 4
    assert store.metadata["source_id"].tolist() == ["000", "001", "002", "003", "004"]
    assert store.metadata["station_latitude_deg"].tolist() == [62.1 + i / 3 for i in range(5)]
    for i, record in enumerate(records):
        values, mask = store.read_records([i])
        np.testing.assert_array_equal(values[0], record)
        assert mask.all()
    assert store.prepared["counts"] == {"NA": 1, "event": 4}


def test_seisbench_reads_ours_identically(root, seisbench_data):
    records = make_records()
    ours, theirs = Store(root), seisbench_data.WaveformDataset(root, component_order="ZNE", missing_components="ignore")
    assert len(theirs) == len(ours)
    for i, record in enumerate(records):
        order = ours.metadata["trace_component_order"][i]
        theirs.component_order = order
        samples, metadata = theirs.get_sample(i)
        np.testing.assert_array_equal(samples, record)
        for name in ("trace_name", "source_id", "trace_start_time", "station_latitude_deg", "trace_npts"):
            if name == "source_id":
                assert int(metadata[name]) == int(ours.metadata[name][i])
            elif name != "trace_npts":
                assert metadata[name] == ours.metadata[name][i]
        assert metadata["trace_sampling_rate_hz"] == 100.0


def test_ours_reads_seisbench_identically(shared_data, seisbench_data):
    path = shared_data / "seisbench_dummy"
    ours, theirs = Store(path), seisbench_data.WaveformDataset(path, component_order="ZNE")
    assert len(ours) == len(theirs) == 100
    values, mask = ours.read_records(np.arange(100))
    assert mask.all()
    np.testing.assert_array_equal(values, theirs.get_waveforms().astype(np.float32))
    assert (ours.metadata["trace_category"] == "Unlabeled").all()
    assert ours.metadata["station_code"].unique().tolist() == ["PB01"]
    assert (ours.sampling_rate == 20).all()


def test_random_access_reads_windows_and_pads_with_zeros(root):
    store, records = Store(root), make_records()
    got = store.read_traces([3, 0, 4], [[23, 0], [2, 2], [0, 0]], start=[25, 10, -3], n_samples=10)
    assert got.shape == (3, 2, 10)
    np.testing.assert_array_equal(got[0, :, :5], records[3][[23, 0], 25:30])
    assert (got[0, :, 5:] == 0).all()
    np.testing.assert_array_equal(got[1], records[0][[2, 2], 10:20])
    np.testing.assert_array_equal(got[2, 0, 3:], records[4][0, :7])
    assert (got[2, :, :3] == 0).all()
    assert (store.read_traces([4], [[0]], start=99, n_samples=5) == 0).all()
    assert store.read_traces([1, 3], [[0], [1]], start=35).shape == (2, 1, 5)


def test_read_records_pads_traces_and_samples(root):
    values, mask = Store(root).read_records([1, 3, 0])
    assert values.shape == (3, 24, 50)
    assert mask.sum(axis=1).tolist() == [1, 24, 3]
    assert (values[0, 1:] == 0).all()
    assert (values[0, 0, 40:] == 0).all()
    assert Store(root).read_records([1, 3], n_samples=7)[0].shape == (2, 24, 7)


@pytest.mark.parametrize(("rows", "traces"), [([5], [[0]]), ([-1], [[0]]), ([0], [[3]]), ([0], [[-1]])])
def test_outside_the_store_is_an_index_error(root, rows, traces):
    with pytest.raises(IndexError):
        Store(root).read_traces(rows, traces)


def test_other_layouts(tmp_path, seisbench_data):
    """Compressed blocks, whole data sets, WC order, open slices: what SeisBench allows."""
    records = make_records()[:1]
    path = tmp_path / "other"
    path.mkdir()
    with h5py.File(path / "waveforms.hdf5", "w") as file:
        for key, value in {"dimension_order": "WC", "component_order": "ZNE", "sampling_rate": 10}.items():
            file[f"data_format/{key}"] = value
        data = records[0].T
        file.create_dataset("data/alone", data=data.astype(">i4"))
        file.create_dataset("data/packed", data=np.stack([data, 2 * data]), chunks=(1, 10, 3), compression="gzip")
        file.create_dataset("data/packed_alone", data=data, chunks=(10, 3), compression="gzip")
    names = ["alone", "packed$1,:50,:3", "packed$0,5:,1:", "packed_alone", "packed$0,:-10,:"]
    (path / "metadata.csv").write_text("trace_name\n" + "\n".join(f'"{name}"' for name in names) + "\n")
    store = Store(path)
    expected = [records[0].astype(int), 2 * records[0], records[0][1:, 5:], records[0], records[0][:, :-10]]
    theirs = seisbench_data.WaveformDataset(path, component_order="ZNE", dimension_order="NCW")
    for i, record in enumerate(expected):
        np.testing.assert_array_equal(store.read_records([i])[0][0], record)
        np.testing.assert_array_equal(store.read_traces([i], [[1]], start=2, n_samples=9)[0, 0], record[1, 2:11])
        if i != 2:
            np.testing.assert_array_equal(theirs.get_sample(i)[0], record)


def test_chunked_seisbench_folder(tmp_path):
    path = tmp_path / "chunked"
    path.mkdir()
    for chunk, seed in (("a", 1), ("b", 2)):
        made = write(tmp_path / chunk, make_records(seed)[:2])
        shutil.move(made / "metadata.csv", path / f"metadata{chunk}.csv")
        shutil.move(made / "waveforms.hdf5", path / f"waveforms{chunk}.hdf5")
    store = Store(path)
    assert len(store) == 4
    np.testing.assert_array_equal(store.read_records([2])[0][0], make_records(2)[0])


class Rows(torch.utils.data.Dataset):
    def __init__(self, store):
        self.store = store

    def __len__(self):
        return len(self.store)

    def __getitem__(self, index):
        return self.store.read_records([index], n_samples=50)[0][0]


def pack(root):
    """Compress a store, so that its blocks cannot be mapped into memory."""
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        for name in list(file["data"]):
            values = file["data"][name][()]
            del file["data"][name]
            file["data"].create_dataset(name, data=values, compression="gzip")


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
@pytest.mark.parametrize("packed", [False, True])
def test_worker_processes(root, start, packed):
    if packed:  # through h5py, whose handles do not survive a fork
        pack(root)
    store = Store(root)
    store.read_records([0])  # opened in the parent first
    loader = torch.utils.data.DataLoader(Rows(store), batch_size=None, num_workers=1, multiprocessing_context=start)
    for got, record in zip(loader, make_records(), strict=True):
        np.testing.assert_array_equal(got[:, : record.shape[1]], record)
    np.testing.assert_array_equal(store.read_records([0])[0][0], make_records()[0])


def test_two_threads_may_open_a_block_at_once(root, monkeypatch):
    """Training reads ahead in a thread of its own while a probe may read the same store."""
    pack(root)
    store, opened, both = Store(root), [], threading.Barrier(2)

    def open_slowly(path):
        both.wait(10)
        opened.append(open_hdf5(path))
        return opened[-1]

    monkeypatch.setattr("seisml.store.store.open_hdf5", open_slowly)
    with ThreadPoolExecutor(2) as threads:
        read = [threads.submit(lambda: [store.read_records([2])[0][0] for _ in range(50)]) for _ in range(2)]
    assert len(opened) == 2
    for values in [*read[0].result(), *read[1].result(), store.read_records([2])[0][0]]:
        np.testing.assert_array_equal(values, make_records()[2])


def test_a_damaged_compressed_block_is_named(root):
    pack(root)
    with h5py.File(root / "waveforms.hdf5") as file:
        chunk = next(iter(file["data"].values())).id.get_chunk_info(0)
    with (root / "waveforms.hdf5").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    for read in (Store(root).read_records, lambda rows: Store(root).read_traces(rows, np.zeros((len(rows), 1)))):
        with pytest.raises(UserError, match="waveforms.hdf5: /data/.* is damaged .*; copy it again or prepare"):
            read(np.arange(3))


def test_pickle_before_and_after_reading(root):
    store = Store(root)
    store.read_records([0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).read_records([2])[0][0], make_records()[2])


def damage(root, what):
    waveforms, metadata = root / "waveforms.hdf5", root / "metadata.csv"
    if what == "no folder":
        shutil.rmtree(root)
    elif what == "truncated":
        waveforms.write_bytes(waveforms.read_bytes()[:3000])
    elif what == "not hdf5":
        waveforms.write_bytes(b"hello" * 1000)
    elif what == "no waveforms":
        waveforms.unlink()
    elif what == "no metadata":
        metadata.unlink()
    elif what == "empty metadata":
        metadata.write_text("")
    elif what == "header only":
        metadata.write_text(metadata.read_text().splitlines()[0] + "\n")
    elif what == "no trace_name":
        metadata.write_text("a,b\n1,2\n")
    elif what == "block outside":
        metadata.write_text(metadata.read_text().replace("$0,:3,:50", "$9,:3,:50"))
    elif what == "no block":
        metadata.write_text(metadata.read_text().replace("bucket0$", "bucket77$"))
    elif what == "name":
        metadata.write_text(metadata.read_text().replace("$0,:3,:50", "$x"))
    elif what == "empty folder":
        shutil.rmtree(root)
        root.mkdir()


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("no folder", "no such store"),
        ("truncated", "waveforms.hdf5: truncated"),
        ("not hdf5", "waveforms.hdf5: not readable"),
        ("no waveforms", "waveforms.hdf5: missing"),
        ("no metadata", "metadata.csv: missing"),
        ("empty metadata", "metadata.csv: empty"),
        ("header only", "no records"),
        ("no trace_name", "no column 'trace_name'"),
        ("block outside", "outside its block"),
        ("no block", "which waveforms.hdf5 lacks"),
        ("name", "cannot read trace_name"),
        ("empty folder", "not a store"),
    ],
)
def test_damaged_stores_are_named(root, what, word):
    damage(root, what)
    with pytest.raises(UserError, match=word) as caught:
        Store(root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blocks_are_flushed_so_that_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "FLUSH_BYTES", 1000)
    records = make_records() * 4
    with StoreWriter(tmp_path / "made", {}) as writer:
        for i, record in enumerate(records):
            writer.add(record, {"trace_sampling_rate_hz": 100.0 if i else 50.0})
            assert writer._pending_bytes <= 1000
    store = Store(tmp_path / "made")
    assert len(store._places.blocks) > 3
    for i, record in enumerate(records):
        np.testing.assert_array_equal(store.read_records([i])[0][0], record)
    assert "sampling_rate" not in store.data_format
    assert "component_order" not in store.data_format
