"""``seisml prepare folder``, run as a user runs it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import obspy
import pytest

from seisml.cli import main
from seisml.prepare import files as preparing
from seisml.store.store import Store
from seisml.waveforms.preprocessing import Preprocessing
from seisml.workers import pool
from tests.prepare import crashing_reader
from tests.waveforms.test_record import save, trace


@pytest.fixture
def source(tmp_path):
    """Two classes of good files, a class of bad ones, an empty one, and a file outside the classes."""
    folder = tmp_path / "recordings"
    for name in ("LP/nested", "VT", "bad", "empty", ".hidden"):
        (folder / name).mkdir(parents=True)
    for i in range(3):
        save(folder / "VT" / f"ev{2 - i}_S{i}.mseed", trace(seed=i), trace("XX.OTH..HHZ", seed=9))
        save(folder / "LP" / f"ev{i}_S9.sac", trace(seed=10 + i, n=400 + 50 * i), format="SAC")
    save(folder / "LP" / "nested" / "ev7_S1.mseed", trace(seed=7))
    (folder / "bad" / "empty.mseed").touch()
    (folder / "bad" / "notes.txt").write_text("field notes\n" * 20)
    save(folder / "bad" / "gap.mseed", trace(), trace(start=60.0))
    (folder / "VT" / ".DS_Store").touch()
    (folder / "README").write_text("hello")
    return folder


def run(*arguments):
    return main(["prepare", "folder", *map(str, arguments)])


def test_prepare_folder(source, tmp_path, capsys):
    out = tmp_path / "store"
    assert run(source, "--out", out) == 0
    printed = capsys.readouterr().out
    store = Store(out)
    assert store.metadata["trace_source_file"].tolist() == [
        "LP/ev0_S9.sac",
        "LP/ev1_S9.sac",
        "LP/ev2_S9.sac",
        "LP/nested/ev7_S1.mseed",
        "VT/ev0_S2.mseed",
        "VT/ev1_S1.mseed",
        "VT/ev2_S0.mseed",
    ]
    assert store.metadata["trace_category"].tolist() == ["LP"] * 4 + ["VT"] * 3
    assert store.metadata["source_id"][3] == "LP/nested/ev7_S1"
    assert store.n_traces.tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert store.n_samples.tolist() == [400, 450, 500, 500, 500, 500, 500]
    np.testing.assert_array_equal(store.read_records([6])[0][0, 0], trace(seed=0).data.astype(np.float32))
    for line in (
        "bad/empty.mseed: empty file",
        "bad/notes.txt: not a waveform format",
        "bad/gap.mseed: gap of 5500 samples (55 s)",
        "README: not in a class folder",
        "empty/: empty class folder",
        "no records of class 'bad'",
        "7 records in",
    ):
        assert line in printed
    assert len(store.prepared["skipped"]) == 5
    assert store.prepared["counts"] == {"LP": 4, "VT": 3}


def test_events_from_file_names(source, tmp_path, capsys):
    shutil.rmtree(source / "bad")
    assert run(source, "--out", tmp_path / "store", "--event", r"(?P<event>.+)_S\d") == 0
    assert Store(tmp_path / "store").metadata["source_id"].tolist() == ["ev0", "ev1", "ev2", "ev7", "ev0", "ev1", "ev2"]
    assert run(source, "--out", tmp_path / "other", "--event", r"(?P<event>.+)_S9") == 0
    assert "VT/ev0_S2.mseed: its name does not match --event" in capsys.readouterr().out


def test_second_run_is_a_no_op_that_says_so(source, tmp_path, capsys):
    out = tmp_path / "store"
    arguments = (source, "--out", out, "--length", "3")
    assert run(*arguments) == 0
    assert "by up to" not in capsys.readouterr().out
    before = (out / "waveforms.hdf5").stat()
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert "up to date" in printed
    assert printed.count("\n") == 1
    assert (out / "waveforms.hdf5").stat() == before
    assert run(source, "--out", out, "--length", "6") == 2
    error = capsys.readouterr().err
    assert "--overwrite" in error
    assert "choose another --out" in error
    assert (out / "waveforms.hdf5").stat() == before
    assert run(source, "--out", out, "--length", "6", "--overwrite") == 0
    assert "7 records padded with zeros at the end, by up to 2 s" in capsys.readouterr().out
    assert set(Store(out).n_samples) == {600}


def test_a_changed_file_is_noticed(source, tmp_path, capsys):
    assert run(source, "--out", tmp_path / "store") == 0
    save(source / "VT" / "ev0_S2.mseed", trace(seed=77))
    assert run(source, "--out", tmp_path / "store") == 2
    assert "from other files" in capsys.readouterr().err


def test_mixed_rates_between_files_are_said(source, tmp_path, capsys):
    save(source / "VT" / "fast.mseed", trace(n=1000, rate=200.0))
    assert run(source, "--out", tmp_path / "store") == 0
    assert "training wants one: --sampling-rate 100" in capsys.readouterr().out
    assert run(source, "--out", tmp_path / "store", "--sampling-rate", "50", "--overwrite") == 0
    assert set(Store(tmp_path / "store").sampling_rate) == {50.0}


def test_processes_give_the_same_store(source, tmp_path, monkeypatch):
    assert run(source, "--out", tmp_path / "one", "--workers", "1") == 0
    monkeypatch.setattr(pool, "NEXT_PROCESS", 0.0)
    assert run(source, "--out", tmp_path / "two", "--workers", "2") == 0
    for name in ("metadata.csv", "prepare.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()
    one, two = (Store(tmp_path / name).read_records(np.arange(7)) for name in ("one", "two"))
    np.testing.assert_array_equal(one[0], two[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--length", "0"], "--length 0: must be greater than 0"),
        (["--sampling-rate", "-5"], "--sampling-rate -5: must be greater than 0"),
        (["--bandpass", "5", "2"], "--bandpass 5 2: want 0 < LOW < HIGH"),
        (["--bandpass", "5", "20", "--sampling-rate", "40"], "HIGH must be below 20 Hz"),
        (["--components", "ZZ"], "--components ZZ: want one letter per component"),
        (["--event", "(?P<event>"], "not a regular expression"),
        (["--event", "ev(.+)"], "has no group named event"),
        (["--workers", "0"], "--workers 0: want at least 1"),
        (["--lenght", "3"], "--lenght: unknown; did you mean '--length'?"),
        (["--detrend", "cubic"], "invalid choice: 'cubic'"),
        (["--length", "long"], "invalid float value: 'long'"),
    ],
)
def test_wrong_options_are_one_line(source, tmp_path, capsys, arguments, words):
    assert run(source, "--out", tmp_path / "store", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("seisml: error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_nothing_usable_makes_no_store(source, tmp_path, capsys, shared_data):
    shutil.rmtree(source / "VT")
    shutil.rmtree(source / "LP")
    seg2 = next((shared_data / "aknes").glob("*.dat")).read_bytes()
    (source / "bad" / "cut.dat").write_bytes(seg2[:-8])
    assert run(source, "--out", tmp_path / "store") == 2
    captured = capsys.readouterr()
    assert "bad/cut.dat: truncated SEG-2 file" in captured.out
    assert "no record to store, so none was made: all 6 files were skipped" in captured.err
    assert sorted(os.listdir(tmp_path)) == ["recordings"]


@pytest.mark.parametrize(
    ("bad", "reason"), [("nan", "NaN or infinite"), ("dead", "dead: "), ("rates", "mixed sampling rates")]
)
def test_a_folder_of_one_bad_file(tmp_path, capsys, bad, reason):
    traces = {
        "nan": [trace(data=np.full(50, np.nan, np.float32))],
        "dead": [trace(data=np.zeros(50, np.int32))],
        "rates": [trace("XX.A..HHZ"), trace("XX.B..HHZ", rate=50.0)],
    }
    (tmp_path / "in" / "VT").mkdir(parents=True)
    save(tmp_path / "in" / "VT" / "a.mseed", *traces[bad])
    assert run(tmp_path / "in", "--out", tmp_path / "store") == 2
    error = capsys.readouterr().err
    assert f"VT/a.mseed: {reason}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_records_of_dead_traces_alone_are_skipped_unless_kept(tmp_path):
    dead = [trace("XX.A..HHZ", data=np.full(500, 7, np.int32)), trace("XX.A..HHN", data=np.zeros(500, np.int32))]
    for label in ("VT", "LP"):
        (tmp_path / "in" / label).mkdir(parents=True)
        save(tmp_path / "in" / label / "live.mseed", trace("XX.A..HHZ", data=dead[0].data), trace("XX.A..HHN"))
    save(tmp_path / "in" / "VT" / "dead.mseed", *dead)
    assert run(tmp_path / "in", "--out", tmp_path / "store", "--detrend", "constant") == 0
    store = Store(tmp_path / "store")
    assert len(store) == 2
    (skipped,) = store.prepared["skipped"]
    assert skipped["file"] == "VT/dead.mseed" and skipped["reason"].startswith("dead: all samples of every trace")
    assert run(tmp_path / "in", "--out", tmp_path / "kept", "--dead-traces", "keep") == 0
    assert len(Store(tmp_path / "kept")) == 3


def test_wrong_sources(tmp_path, capsys):
    assert run(tmp_path / "nowhere", "--out", tmp_path / "store") == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "flat").mkdir()
    save(tmp_path / "flat" / "a.mseed", trace())
    assert run(tmp_path / "flat", "--out", tmp_path / "store") == 2
    assert "has no class folders" in capsys.readouterr().err
    (tmp_path / "flat" / "empty").mkdir()
    assert run(tmp_path / "flat", "--out", tmp_path / "store") == 2
    assert "empty class folder" in capsys.readouterr().out


def test_a_full_disk_is_one_line(source, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "store"))

    assert run(source, "--out", tmp_path / "store") == 0
    monkeypatch.setattr(preparing.StoreWriter, "_write_data_format", full)
    assert run(source, "--out", tmp_path / "store", "--overwrite") == 2
    error = capsys.readouterr().err
    assert "the disk is full" in error
    assert error.count("\n") == 1
    assert len(Store(tmp_path / "store")) == 7
    assert sorted(os.listdir(tmp_path)) == ["recordings", "store"]


def test_a_store_among_the_recordings_is_no_class(source, capsys):
    for _ in range(2):
        assert run(source, "--out", source / "store") == 0
    assert "up to date" in capsys.readouterr().out
    assert set(Store(source / "store").metadata["trace_category"]) == {"LP", "VT"}


def test_links_in_a_circle(source, tmp_path):
    (source / "VT" / "round").symlink_to(source / "VT")
    (source / "linked").symlink_to(source / "LP")
    assert run(source, "--out", tmp_path / "store") == 0
    assert Store(tmp_path / "store").prepared["counts"] == {"LP": 4, "VT": 3, "linked": 4}


def many_files(folder, n=400):
    (folder / "A").mkdir(parents=True)
    first = save(folder / "A" / "0000.mseed", trace(n=20_000))
    for i in range(1, n):
        shutil.copy(first, folder / "A" / f"{i:04}.mseed")
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_interrupted_and_killed(tmp_path, number, code):
    """With reading processes: nothing half, the earlier store intact, no process left behind."""
    folder, out = many_files(tmp_path / "in"), tmp_path / "store"
    code_of_earlier = (
        "import sys; from seisml.workers import pool; pool.NEXT_PROCESS = 0.0;"
        "from seisml.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "small" / "A").mkdir(parents=True)
    save(tmp_path / "small" / "A" / "a.mseed", trace())
    assert run(tmp_path / "small", "--out", out) == 0
    arguments = ["prepare", "folder", folder, "--out", out, "--overwrite", "--workers", "2", "--bandpass", "1", "20"]
    process = subprocess.Popen(
        [sys.executable, "-c", code_of_earlier, *map(str, arguments)], start_new_session=True, stderr=subprocess.PIPE
    )
    partial = lambda: [p for p in tmp_path.glob(".store.partial-*/waveforms.hdf5") if p.stat().st_size]  # noqa: E731
    deadline = time.monotonic() + 30
    while not partial() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, number) if number == signal.SIGKILL else os.killpg(process.pid, number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    if number == signal.SIGINT:
        assert error.decode() == "seisml: interrupted; finished parts are kept, nothing half is left\n"
        assert not list(tmp_path.glob(".store.partial-*"))
    assert len(Store(out)) == 1
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a reading process outlived the command")
    assert run(tmp_path / "small", "--out", out, "--overwrite") == 0
    assert sorted(os.listdir(tmp_path)) == ["in", "small", "store"]


def test_a_reader_that_crashes_costs_one_file(tmp_path, monkeypatch):
    files = []
    for i in range(8):
        (tmp_path / f"{i:04}.mseed").touch()
        files.append(preparing.SourceFile(tmp_path / f"{i:04}.mseed", f"{i:04}", "A", str(i)))
    monkeypatch.setattr(preparing, "try_record", crashing_reader.read)
    results = list(preparing.read_all(preparing.grouped(files), Preprocessing(), 2))
    assert [file for (file,), _ in results] == files
    assert [file.name for (file,), result in results if isinstance(result, dict)] == ["0003"]
    assert "crashed" in results[3][1][files[3].path]


def test_the_real_aknes_event(tmp_path, shared_data, capsys):
    (tmp_path / "in" / "Regional").mkdir(parents=True)
    file = next((shared_data / "aknes").glob("*.dat"))
    shutil.copy(file, tmp_path / "in" / "Regional")
    assert run(tmp_path / "in", "--out", tmp_path / "store", "--sampling-rate", "500", "--length", "10") == 0
    store = Store(tmp_path / "store")
    assert (store.n_traces[0], store.n_samples[0]) == (24, 5000)
    assert ["Regional", "1", "24", "500", "10"] in [line.split()[:5] for line in capsys.readouterr().out.splitlines()]


def test_volcano_events(tmp_path, shared_data):
    assert run(shared_data / "volcano_events", "--out", tmp_path / "store") == 0
    store = Store(tmp_path / "store")
    assert store.prepared["counts"] == {"AV": 2, "IC": 2, "LP": 4, "TR": 4, "VT": 8}
    assert store.n_traces.max() == 8
    assert set(store.n_samples) == {8192}
    row = int(np.flatnonzero(store.n_traces == 8)[0])
    stream = obspy.read(str(shared_data / "volcano_events" / store.metadata["trace_source_file"][row]))
    np.testing.assert_array_equal(store.read_records([row])[0][0], np.stack([t.data for t in stream]))
    assert store.metadata["trace_channels"][row] == ";".join(t.id for t in stream)


def test_lab_ae(tmp_path, shared_data):
    source, pattern = shared_data / "lab_ae", r"(?P<event>.+)_OL\d+"
    assert run(source, "--out", tmp_path / "store", "--event", pattern, "--workers", "1") == 0
    store = Store(tmp_path / "store")
    assert store.prepared["counts"] == {"AE": 189, "UP": 97, "noise": 352}
    assert store.metadata["source_id"].nunique() == 38
    assert set(store.sampling_rate) == {1e7}
    assert store.prepared["skipped"] == []


def test_folders_named_after_times_are_events_not_classes(tmp_path, capsys):
    for number in range(12):
        (tmp_path / "in" / f"20130901T04{number:02d}15").mkdir(parents=True)
    assert main(["prepare", "folder", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "12 folders are named after times" in said and "in/<class>/20130901T040015/" in said
    assert "--group '^[^/]+'" in said
    assert not (tmp_path / "out").exists()
