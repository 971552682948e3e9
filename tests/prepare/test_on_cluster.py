"""Prepare steps on a Dask cluster: the same store as one process makes, whatever dies or is stopped meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from seisml.cli import main
from seisml.prepare.outcome import Outcome
from seisml.prepare.pieces import pieces_folder, read_piece, write_piece
from seisml.store.writer import StoreWriter
from seisml.waveforms.record import Record
from tests.datasets import test_convnetquake, test_tremor_prepare
from tests.prepare.test_catalog import ORIGIN, P_AAA, START, quakeml, trace, write_sds

STORE = ("metadata.csv", "prepare.json", "waveforms.hdf5")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """An hour of two stations in half-hour files, BBB without its east component, and a file that is no waveform."""
    root = tmp_path_factory.mktemp("archive")
    halves = (START, START + 1800)
    traces = [trace("AAA", f"HH{c}", half, 1800, [P_AAA] * (half == START)) for c in "ZNE" for half in halves]
    write_sds(root / "sds", traces + [trace("BBB", f"HH{c}", half, 1800) for c in "ZN" for half in halves])
    (root / "sds" / "broken.mseed").write_bytes(b"no waveform")
    more = [(f"late{number}", START + 900 + 60 * number, {}) for number in range(8)]
    quakeml(root / "events.xml", ("first", ORIGIN, {("AAA", "P"): P_AAA}), ("across", START + 1800, {}), *more)
    return root


def prepare(root: Path, out: Path, *options: str) -> int:
    paths = [str(root / "sds"), str(root / "events.xml"), "--out", str(out)]
    return main(["prepare", "catalog", *paths, "--before", "10", "--after", "20", *options])


def content(store: Path) -> dict[str, bytes]:
    return {name: (store / name).read_bytes() for name in STORE}


def pieces(store: Path) -> dict[Path, tuple[int, int]]:
    """The pieces of a store that is not written yet: file -> (its number on the disk, time of writing)."""
    found = sorted(pieces_folder(store).rglob("*.safetensors"))
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_piece_gives_back_what_was_made(tmp_path):
    row = {"source_id": "ä", "trace_sampling_rate_hz": 0.1 + 0.2, "source_depth_km": None, "path_ep_distance_km": 3}
    first = Record(np.arange(6, dtype=np.float32).reshape(2, 3), row, 1, 0.1, ["padded"])
    second = Record(np.zeros((1, 2), np.float32), {})
    made = [Outcome("a", [first, second], flat=["XX.A..HHZ"]), Outcome("b", reasons=["no data"])]
    write_piece(tmp_path / "piece", made)
    read = read_piece(tmp_path / "piece")
    for outcome, other in zip(read, made, strict=True):
        assert (outcome.name, outcome.reasons, outcome.flat) == (other.name, other.reasons, other.flat)
        for record, expected in zip(outcome.records, other.records, strict=True):
            np.testing.assert_array_equal(record.waveform, expected.waveform, strict=True)
            assert {**vars(record), "waveform": 0} == {**vars(expected), "waveform": 0}
            assert list(record.metadata) == list(expected.metadata)


def test_workers_that_cannot_be_named_so_are_refused(archive, tmp_path, capsys):
    assert prepare(archive, tmp_path / "store", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2") == 2
    assert "--workers: the cluster at an address has workers" in capsys.readouterr().err
    assert prepare(archive, tmp_path / "store", "--scheduler", "slurm") == 2
    assert "say with --workers how many jobs" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.long
@pytest.mark.parametrize("windows", [False, True])
def test_the_store_is_that_of_one_process(archive, tmp_path, dask_cluster, windows, capsys, monkeypatch):
    options = ["--windows", "--window-length", "8", "--lead", "1", "3", "--gap", "2"] if windows else []
    assert prepare(archive, tmp_path / "here", "--workers", "1", *options) == 0
    said = capsys.readouterr().out.replace("here", "there")
    monkeypatch.chdir(archive)  # not the workers' folder
    assert prepare(Path("."), tmp_path / "there", "--scheduler", dask_cluster, *options) == 0
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert capsys.readouterr().out.partition(" (")[0] == said.partition(" (")[0]
    assert not pieces_folder(tmp_path / "there").exists()


@pytest.mark.long
def test_what_was_made_is_not_made_again(archive, tmp_path, dask_cluster, capsys, monkeypatch):
    assert prepare(archive, tmp_path / "here", "--workers", "1") == 0
    out = tmp_path / "there"
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "add", interrupt)
        assert prepare(archive, out, "--scheduler", dask_cluster) == 130
    made = pieces(out)
    assert len(made) == 10 and not out.exists()
    first = next(iter(made))
    first.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "add", interrupt)
        assert prepare(archive, out, "--scheduler", dask_cluster) == 130
    again = pieces(out)
    assert again.keys() == made.keys() and [path for path in made if made[path] != again[path]] == [first]
    first.write_bytes(b"\xff" * 64)
    capsys.readouterr()
    assert prepare(archive, out, "--scheduler", dask_cluster) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert str(first) in line and "remove it and run the command again" in line and not out.exists()
    first.unlink()
    assert prepare(archive, out, "--scheduler", dask_cluster) == 0
    assert content(out) == content(tmp_path / "here") and not pieces_folder(out).exists()


def interrupt(*_) -> None:
    raise KeyboardInterrupt


@pytest.mark.long
def test_a_killed_worker_does_not_show_in_the_store(archive, tmp_path, dask_cluster, monkeypatch):
    from distributed import Client

    assert prepare(archive, tmp_path / "here", "--workers", "1") == 0
    out, killed = tmp_path / "there", []

    def kill_one(result) -> None:
        """When the first piece is there."""
        if not killed:
            with Client(dask_cluster, set_as_default=False) as client:
                killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    follow_results(monkeypatch, kill_one)
    assert prepare(archive, out, "--scheduler", dask_cluster) == 0
    assert killed and content(out) == content(tmp_path / "here")


def follow_results(monkeypatch, told) -> None:
    from seisml.workers.cluster import Cluster

    outcome = Cluster._outcome

    def also(self, future):
        result = outcome(self, future)
        if isinstance(result, Path):
            told(result)
        return result

    monkeypatch.setattr(Cluster, "_outcome", also)


recordings = test_convnetquake.recordings
tremor_recordings = test_tremor_prepare.recordings


@pytest.mark.long
def test_windows_of_clusters_of_earthquakes(recordings, tmp_path, dask_cluster):
    assert test_convnetquake.prepare(recordings, tmp_path / "here") == 0
    places = [str(recordings / name) for name in ("waves", "catalog.csv")]
    options = ["--stations", str(recordings / "stations.csv"), "--clusters", "2", "--scheduler", dask_cluster]
    assert main(["prepare", "convnetquake", *places, "--out", str(tmp_path / "there"), *options]) == 0
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert not pieces_folder(tmp_path / "there").exists()


@pytest.mark.long
def test_windows_after_large_earthquakes(tremor_recordings, tmp_path, dask_cluster):
    assert test_tremor_prepare.prepare(tremor_recordings, tmp_path / "here.h5") == 0
    assert test_tremor_prepare.prepare(tremor_recordings, tmp_path / "there.h5", "--scheduler", dask_cluster) == 0
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
    assert not pieces_folder(tmp_path / "there.h5").exists()
