"""Stores that mean harm: nothing outside their folder is read, and each ends in one line."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from seisml.datasets.tremor.file import TremorFile
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.store.writer import StoreWriter
from tests.stores import write_store

SECRET = np.arange(3000, dtype=np.float32)


@pytest.fixture
def root(tmp_path):
    return write_store(tmp_path / "store", n_events=4, n_traces=3, n_samples=100)


@pytest.fixture
def elsewhere(tmp_path):
    """Files of somebody else's: samples in HDF5, and as they are."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["X"] = SECRET.reshape(10, 3, 100)
    SECRET.tofile(tmp_path / "secret.raw")
    return tmp_path


def link(file, where, kind, elsewhere):
    """Put a data set that leads elsewhere in the place of an honest one."""
    shape = file[where].shape
    del file[where]
    if kind == "external link":
        file[where] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "/X")
    elif kind == "soft link":
        file["hidden"] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "/X")
        file[where] = h5py.SoftLink("/hidden")
    elif kind == "external storage":
        external = [(str(elsewhere / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset(where, shape, np.float32, external=external)
    elif kind == "virtual":
        layout = h5py.VirtualLayout(shape, np.float32)
        layout[...] = h5py.VirtualSource(str(elsewhere / "secret.h5"), "X", shape)
        file.create_virtual_dataset(where, layout)
    elif kind == "linked group":
        del file["data"]
        file["data"] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "/")


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual", "linked group"])
def test_samples_of_other_files_are_not_read(root, elsewhere, kind):
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        link(file, "data/bucket0", kind, elsewhere)
    with pytest.raises(UserError, match="waveforms.hdf5"):
        Store(root)


@pytest.mark.parametrize("name", ["X", "y", "source"])
@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual"])
def test_a_tremor_file_reads_itself_alone(tmp_path, elsewhere, kind, name):
    with h5py.File(tmp_path / "tremor.h5", "w") as file:
        file["X"], file["y"] = np.ones((10, 200), np.float32), np.zeros(10)
        file["source"] = np.zeros(10)
        file.attrs["sampling_rate"] = 20.0
        link(file, name, kind, elsewhere)
    with pytest.raises(UserError, match="tremor.h5"):
        TremorFile(tmp_path / "tremor.h5")


def test_a_store_may_be_a_link_but_its_files_may_not_lead_outside(root, tmp_path):
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert len(Store(tmp_path / "link")) == 4
    os.rename(root / "waveforms.hdf5", tmp_path / "elsewhere.hdf5")
    (root / "waveforms.hdf5").symlink_to(tmp_path / "elsewhere.hdf5")
    with pytest.raises(UserError, match="outside the store"):
        Store(root)


def edit(root, **columns):
    table = pd.read_csv(root / "metadata.csv", dtype=str)
    for name, value in columns.items():
        table.loc[0, name] = value
    table.to_csv(root / "metadata.csv", index=False)


MALFORMED = {
    "huge numbers": {"trace_name": "bucket0$0,:3,:99999999999999999999"},
    "large numbers": {"trace_name": "bucket0$0,:3,:999999999999999"},
    "numbers that overflow": {"trace_name": "bucket0$0,9223372036854775807:,9223372036854775807:9223372036854775807"},
    "a negative index": {"trace_name": "bucket0$-1,:3,:100"},
    "no name": {"trace_name": ""},
    "a path": {"trace_name": "/data/bucket0$0,:3,:100"},
    "a path upwards": {"trace_name": "../bucket0$0,:3,:100"},
    "a rate of zero": {"trace_sampling_rate_hz": "0"},
    "a negative rate": {"trace_sampling_rate_hz": "-20"},
    "a rate without end": {"trace_sampling_rate_hz": "inf"},
    "a rate that is text": {"trace_sampling_rate_hz": "fast"},
    "no rate": {"trace_sampling_rate_hz": "nan"},
}


@pytest.mark.parametrize("columns", MALFORMED.values(), ids=MALFORMED)
def test_malformed_tables_are_one_line(root, columns):
    edit(root, **columns)
    with pytest.raises(UserError, match=r"metadata.csv: line 2") as caught:
        Store(root)
    assert "\n" not in str(caught.value)


def test_a_chunk_column_without_chunks_is_not_looked_at(root):
    edit(root, trace_chunk="../../etc")
    assert Store(root).read_records([0])[0].shape == (1, 3, 100)


def test_shapes_beyond_the_file(root):
    with h5py.File(root / "waveforms.hdf5", "r+") as file:
        del file["data/bucket0"]
        file.create_dataset("data/bucket0", (4, 3, 10**12), np.float32, chunks=(1, 1, 1000))
    with pytest.raises(UserError, match="holds 0 bytes"):
        Store(root)


def test_a_dataset_that_reaches_beyond_the_file(tmp_path):
    root = write_store(tmp_path / "store", n_events=40, n_traces=3, n_samples=2000)
    path = root / "waveforms.hdf5"
    with h5py.File(path, "r") as file:
        offset = file["data/bucket0"].id.get_offset()
    data = bytearray(path.read_bytes())
    place = data.find(offset.to_bytes(8, "little"))  # of the address in the data set's header
    data[place : place + 8] = (len(data) - 1000).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"waveforms.hdf5"):
        Store(root).read_records(np.arange(40))


def test_cells_that_a_spreadsheet_would_compute(tmp_path):
    labels = ["=cmd|'/c calc'!A1", "+1-1", "-3.5", "@SUM(A1)", "\tx", "'=quoted", "plain", "'n"]
    with StoreWriter(tmp_path / "store", {}) as writer:
        for label in labels:
            row = {"trace_category": label, "trace_sampling_rate_hz": 1.0, "source_depth_km": -3.5}
            writer.add(np.ones((1, 9), np.float32), row)
    text = pd.read_csv(tmp_path / "store" / "metadata.csv", dtype=str)
    assert not [c for c in text["trace_category"] if c[0] in "=+-@\t" and c != "-3.5"]
    assert text["source_depth_km"].tolist() == ["-3.5"] * len(labels)
    store = Store(tmp_path / "store")
    assert store.metadata["trace_category"].tolist() == labels and store.metadata["source_depth_km"].mean() == -3.5


VALUES = ("", "-1", "0", "1e300", "nan", "99999999999999999999", "=1", "$", "bucket0", "bucket0$", "bucket0$0,:,:",
          "bucket9$0,:3,:100", "bucket0$0,::,:", "bucket0$0,:3", "é\x01", "../x", "'")  # fmt: skip


def test_stores_changed_at_random(root, tmp_path):
    """Any cell, attribute or byte of the header changed: the store reads, or there is one line."""
    generator = np.random.default_rng(5)
    opened = refused = 0
    for number in range(150):
        copy = shutil.copytree(root, tmp_path / f"copy{number}")
        kind = number % 3
        if kind == 0:
            table = pd.read_csv(copy / "metadata.csv", dtype=str)
            column = table.columns[generator.integers(len(table.columns))]
            table.loc[generator.integers(len(table)), column] = VALUES[generator.integers(len(VALUES))]
            table.to_csv(copy / "metadata.csv", index=False)
        elif kind == 1:
            with h5py.File(copy / "waveforms.hdf5", "r+") as file:
                group = ("data_format", "data")[generator.integers(2)]
                name = list(file[group])[generator.integers(len(file[group]))]
                del file[group][name]
                odd = (3, "x", np.zeros((2, 2)), np.array([b"a", b"b"]), h5py.Empty("f"), np.nan, -1.0)
                if generator.random() < 0.9:
                    file[group][name] = odd[generator.integers(len(odd))]
        else:
            data = bytearray((copy / "waveforms.hdf5").read_bytes())
            for place in generator.integers(0, 2048, 8):
                data[place] = generator.integers(256)
            (copy / "waveforms.hdf5").write_bytes(data)
        try:
            Store(copy).read_records(np.arange(4))
            opened += 1
        except UserError as error:
            assert str(copy) in str(error) and "\n" not in str(error)
            refused += 1
        shutil.rmtree(copy)
    assert opened > 10 and refused > 50
