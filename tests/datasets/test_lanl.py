"""LANL: the contest's files become one HDF5 file, and its stretches read like records."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from seisml.cli import main
from seisml.datasets.lanl import rows
from seisml.datasets.lanl.file import LanlFile, StretchFinder
from seisml.datasets.lanl.synthesis import StickSlip, synthesize
from seisml.errors import UserError


def record(n_cycles: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return synthesize(n_cycles, 0, StickSlip(scale=5000))


def write_csv(path: Path, x: np.ndarray, t: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"acoustic_data": x, "time_to_failure": t.astype(float)}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lanl")
    x, t = record()
    write_csv(folder / "train.csv", x, t)
    (folder / "test").mkdir()
    for name, n in (("seg_b", 700), ("seg_a", 700), ("seg_c", 699)):
        pd.DataFrame({"acoustic_data": x[:n]}).to_csv(folder / "test" / f"{name}.csv", index=False)
    return folder


def prepare(source: Path, out: Path, *more: str) -> int:
    return main(["prepare", "lanl", str(source), "--out", str(out), "--segment", "700", "--no-figures", *more])


def test_prepared_file(contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 10_000)  # failures fall into blocks and between them
    out = tmp_path / "lanl.h5"
    assert prepare(contest, out) == 0
    assert "seg_c" in capsys.readouterr().out
    x, t = record()
    file = LanlFile(out)
    ends = np.flatnonzero(np.diff(t) > 1e-4) + 1
    assert file.stretches.tolist() == np.stack([[0, *ends], [*ends, len(t)]], axis=1).tolist()
    with h5py.File(out) as raw:
        np.testing.assert_array_equal(raw["signal"], x)
        np.testing.assert_array_equal(raw["time_to_failure"], t)
        assert [name.decode() for name in raw["test_seg_id"]] == ["seg_a", "seg_b"]
        np.testing.assert_array_equal(raw["test_signal"][0], x[:700])
    begin, length = int(file.stretches[1, 0]), int(file.n_samples[1])
    window = file.read_traces([1, 1], [[0], [0]], start=[5, length - 2], n_samples=4)
    np.testing.assert_array_equal(window[0, 0], x[begin + 5 : begin + 9])
    assert window[1, 0].tolist() == [*x[begin + length - 2 : begin + length], 0, 0]  # nothing of the next stretch
    np.testing.assert_array_equal(file.time_to_failure([0, 2], [7, 0]), t[[7, int(file.stretches[2, 0])]])
    again = pickle.loads(pickle.dumps(file))
    np.testing.assert_array_equal(again.read_records([2], 10)[0], file.read_records([2], 10)[0])
    before = out.stat().st_mtime_ns
    assert prepare(contest, out) == 0 and out.stat().st_mtime_ns == before  # current: nothing to do
    assert prepare(contest, out, "--segment", "699") == 2
    assert prepare(contest, out, "--segment", "699", "--overwrite") == 0


def test_compressed_source_data(tmp_path: Path) -> None:
    """What compress_source_data.py writes: arrays, and an index of the stretches."""
    x, t = record()
    np.savez_compressed(tmp_path / "train.npz", signal=x, quake_time=t.astype(np.float64))
    pd.DataFrame({"indx_start": [0, 1000], "indx_end": [900, 2000]}).to_csv(tmp_path / "index.csv", index=False)
    assert prepare(tmp_path / "train.npz", tmp_path / "out.h5") == 0
    file = LanlFile(tmp_path / "out.h5")
    assert file.stretches.tolist() == [[0, 900], [1000, 2000]]
    np.testing.assert_array_equal(file.read_traces([1], [[0]], 0, 5)[0, 0], x[1000:1005])
    (tmp_path / "index.csv").write_text("indx_start,indx_end\n0,900\n800,2000\n")
    assert prepare(tmp_path / "train.npz", tmp_path / "wrong.h5") == 2
    assert not (tmp_path / "wrong.h5").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acoustic_data,time_to_failure\n1,2\n3,x\n", "line 3: time_to_failure is 'x'"),
        ("acoustic_data,time_to_failure\n1,2\n70000,1\n", "line 3: acoustic_data is '70000'"),
        ("acoustic_data,time_to_failure\n1,2\n3\n4,1\n", "line 3: 1 values for 2 columns"),
        ("acoustic_data,time_to_failure\n1,2\n\n4,1\n", "line 3: 1 values for 2 columns"),
        ("acoustic_data,time_to_failure\n1,2\n3,nan\n", "line 3: time_to_failure"),
        ("acoustic_data,time_to_failure\n1,2\n3,1.4", "line 3, the last, is cut ('3,1.4'"),
        ("acoustic_data,time_to_failure\n1,-2\n", "it is never negative"),
        ("acoustic_data,time\n1,2\n", "has no column 'time_to_failure' (it has acoustic_data, time)"),
        ("acoustic_data,time_to_failure\n", "holds no row"),
        ("", "has no column 'acoustic_data'"),
    ],
)
def test_bad_rows_name_their_line(tmp_path: Path, capsys, text: str, words: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    out = tmp_path / "out" / "lanl.h5"
    assert prepare(tmp_path, out) == 2
    error = capsys.readouterr().err
    assert words in error and "train.csv" in error and error.count("\n") == 1
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_a_bad_row_far_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 100)
    lines = [f"{number % 7},{10 - number / 1000:.3f}" for number in range(500)]
    lines[400] = "5,oops"
    (tmp_path / "train.csv").write_text("acoustic_data,time_to_failure\n" + "\n".join(lines) + "\n")
    assert prepare(tmp_path, tmp_path / "lanl.h5") == 2
    assert "line 402: time_to_failure is 'oops'" in capsys.readouterr().err


def test_other_columns_line_ends_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"number,acoustic_data,time_to_failure\r\n1,-7,2.5\r\n2,8,2.25\r\n")
    assert prepare(tmp_path, tmp_path / "lanl.h5") == 0
    with h5py.File(tmp_path / "lanl.h5") as file:
        assert file["signal"][()].tolist() == [-7, 8] and file["time_to_failure"][()].tolist() == [2.5, 2.25]


@pytest.mark.parametrize("damage", ["cut", "objects", "shape", "length", "missing"])
def test_damaged_archives(tmp_path: Path, capsys, damage: str) -> None:
    x, t = record(1)
    arrays = {"signal": x, "quake_time": t}
    if damage == "objects":
        arrays["signal"] = np.array([{}, 1], dtype=object)
    if damage == "shape":
        arrays["signal"] = x[:, None]
    if damage == "length":
        arrays["quake_time"] = t[:-1]
    if damage == "missing":
        del arrays["signal"]
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    if damage == "cut":
        (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    assert prepare(tmp_path / "a.npz", tmp_path / "lanl.h5") == 2
    error = capsys.readouterr().err
    assert "a.npz" in error and error.count("\n") == 1


@pytest.mark.long
def test_killed_in_the_middle_it_leaves_nothing(tmp_path: Path) -> None:
    x, t = record()
    source = write_csv(tmp_path / "in" / "train.csv", np.tile(x, 20), np.tile(t, 20))
    out = tmp_path / "out" / "lanl.h5"
    code = (
        "import sys; from seisml.datasets.lanl import rows; rows.BLOCK_BYTES = 2000;"
        "from seisml.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, "prepare", "lanl", str(source), "--out", str(out)])
    deadline = time.monotonic() + 60
    while not (out.parent.is_dir() and list(out.parent.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert prepare(source, out) == 0
    assert [path.name for path in out.parent.iterdir()] == ["lanl.h5"]  # what was half-written is gone


def test_stretches_over_blocks() -> None:
    t = np.array([3, 2, 1, 9, 8, 7, 5, 4, 4], np.float32)
    for cuts in ([], [3], [4], [1, 2, 3, 4, 5, 6, 7, 8]):
        finder = StretchFinder()
        for part in np.split(t, cuts):
            finder.feed(part)
        assert finder.stretches().tolist() == [[0, 3], [3, 9]]


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"no")
    with pytest.raises(UserError, match="not a whole HDF5"):
        LanlFile(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["signal"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(UserError, match="has no data set 'signal'"):
        LanlFile(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["signal"], file["time_to_failure"] = np.zeros(9, np.int16), np.zeros(9, np.float32)
        file["stretches"] = [[0, 99]]
    with pytest.raises(UserError, match="within 9 samples"):
        LanlFile(tmp_path / "c.h5")


def test_real_files(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "lanl.h5"
    assert main(["prepare", "lanl", str(shared_data / "lanl"), "--out", str(out)]) == 0
    file = LanlFile(out)
    assert len(file) == 1 and file.n_samples.tolist() == [1549]
    assert file.time_to_failure([0], [0])[0] == pytest.approx(1.4691)
    with h5py.File(out) as raw:
        assert raw["test_signal"].shape == (2, 150_000)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "lanl_overview.png", "lanl_spectrogram.png", "lanl_distributions.png",
    }  # fmt: skip


def test_synthetic_cycles_resemble_the_real_segments(shared_data: Path) -> None:
    real = pd.read_csv(shared_data / "lanl" / "seg_00030f.csv").acoustic_data.to_numpy(float)
    x, t = synthesize(2, 1)
    away = (t * 50 > 3) & (t * 50 < 7)  # the real segments lie in the middle of a cycle
    made = x[away][:150_000].astype(float)
    assert made.mean() == pytest.approx(real.mean(), abs=0.5)
    assert made.std() == pytest.approx(real.std(), rel=0.5)
    quiet, quiet_real = (pd.Series(v).rolling(50).std().quantile(0.2) for v in (made, real))
    assert quiet == pytest.approx(quiet_real, rel=0.3)


def test_synthetic_cycles() -> None:
    x, t = synthesize(3, 0, StickSlip(scale=5000))
    assert x.dtype == np.int16 and t.dtype == np.float32 and len(x) == len(t)
    assert (np.diff(t) > 1e-4).sum() == 2
    np.testing.assert_array_equal(x, synthesize(3, 0, StickSlip(scale=5000))[0])
    assert not np.array_equal(x[:100], synthesize(3, 1, StickSlip(scale=5000))[0][:100])
