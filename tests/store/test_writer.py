"""Writing is atomic: a finished store or none, and never the loss of an earlier one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from seisml.errors import UserError
from seisml.store.folder import is_current, previous_folder
from seisml.store.store import Store
from seisml.store.writer import StoreWriter

WRITE_AND_DIE = """
import os, signal, sys
import numpy as np
from seisml.store import folder as store_folder
from seisml.store import writer as store_writer
out, when = sys.argv[1:]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
renames, rename = [], os.rename
def counted(a, b):
    renames.append(b)
    if when == "between renames" and len(renames) == 2:
        die()
    rename(a, b)
    if when == "after renames" and len(renames) == 2:
        die()
store_folder.os.rename = counted
store_writer.FLUSH_BYTES = 100
with store_writer.StoreWriter(out, {"new": True}, overwrite=True) as writer:
    for i in range(10):
        writer.add(np.full((2, 30), 9.0), {"trace_sampling_rate_hz": 1.0})
        if i == 5 and when == "mid-way":
            die()
"""


def add(writer, value=1.0, **metadata):
    writer.add(np.full((2, 30), value), {"trace_sampling_rate_hz": 1.0, **metadata})


def make(path, value=1.0, options=None, sources=None, overwrite=False):
    with StoreWriter(path, options or {}, sources, overwrite=overwrite) as writer:
        add(writer, value)


def value_of(path):
    return float(Store(path).read_records([0])[0].max())


def kill_writer(out, when):
    code = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(out), when], check=False).returncode
    assert code == -signal.SIGKILL


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("when", ["mid-way", "between renames", "after renames"])
def test_killed_writer(tmp_path, when, earlier):
    out = tmp_path / "made"
    if earlier:
        make(out)
    elif when != "mid-way":
        pytest.skip("one rename only where there is no earlier store")
    kill_writer(out, when)
    assert len([name for name in os.listdir(tmp_path) if name.startswith(".")]) >= 1
    if earlier:
        assert value_of(out) == (9.0 if when == "after renames" else 1.0)
    else:
        with pytest.raises(UserError, match="no such store"):
            Store(out)
    make(out, 2.0, overwrite=True)  # the next run cleans up
    assert value_of(out) == 2.0
    assert os.listdir(tmp_path) == ["made"]


def test_writer_and_is_current_recover_a_store_moved_aside(tmp_path):
    out = tmp_path / "made"
    make(out, options={"a": 1})
    kill_writer(out, "between renames")
    assert not out.exists()
    assert previous_folder(out).is_dir()
    assert is_current(out, {"a": 1})
    assert value_of(out) == 1.0
    kill_writer(out, "between renames")
    with pytest.raises(UserError, match="--overwrite"):
        make(out, 2.0)
    assert value_of(out) == 1.0


def test_a_reader_may_recover_between_the_renames(tmp_path, monkeypatch):
    out = tmp_path / "made"
    make(out)
    rename, state = os.rename, []

    def reader_in_between(a, b):
        rename(a, b)
        if not state:
            state.append(1)
            assert value_of(out) == 1.0

    monkeypatch.setattr(os, "rename", reader_in_between)
    make(out, 2.0, overwrite=True)
    monkeypatch.undo()
    assert value_of(out) == 2.0
    assert os.listdir(tmp_path) == ["made"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_exception_leaves_the_earlier_store(tmp_path, error):
    out = tmp_path / "made"
    make(out)

    def interrupted():
        with StoreWriter(out, {}, overwrite=True) as writer:
            add(writer, 5.0)
            raise error

    with pytest.raises(error):
        interrupted()
    assert value_of(out) == 1.0
    assert os.listdir(tmp_path) == ["made"]


def test_a_living_writer_is_left_alone(tmp_path):
    out = tmp_path / "made"
    living = tmp_path / f".made.partial-{os.uname().nodename}-{os.getppid()}"
    elsewhere = tmp_path / ".made.partial-other-host-1"
    for folder in (living, elsewhere):
        folder.mkdir()
    make(out)
    assert living.is_dir()
    assert elsewhere.is_dir()
    os.utime(elsewhere, (0, 0))
    make(out, overwrite=True)
    assert not elsewhere.exists()


def test_a_current_store_clears_what_a_killed_writer_left(tmp_path):
    out = tmp_path / "made"
    make(out)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".made.partial-{os.uname().nodename}-{dead.pid}"
    living = tmp_path / f".made.partial-{os.uname().nodename}-{os.getppid()}"
    for folder in (left, living):
        folder.mkdir()
    assert not is_current(out, {"other": 1}) and left.is_dir()
    assert is_current(out, {})
    assert not left.exists() and living.is_dir()
    assert value_of(out) == 1.0


def test_is_current(tmp_path):
    out, source = tmp_path / "made", tmp_path / "a.mseed"
    source.write_bytes(b"abc")
    make(out, options={"length": 3.0, "band": (1, 2)}, sources=[source])
    assert is_current(out, {"band": (1, 2), "length": 3.0}, [source])
    assert not is_current(out, {"band": (1, 3), "length": 3.0}, [source])
    assert not is_current(out, {"band": (1, 2), "length": 3.0}, [])
    os.utime(source, (1, 1))
    assert not is_current(out, {"band": (1, 2), "length": 3.0}, [source])
    assert not is_current(tmp_path / "other", {})


def test_existing_store_is_refused(tmp_path):
    make(tmp_path / "made")
    with pytest.raises(UserError, match="--overwrite to replace it or choose another --out"):
        make(tmp_path / "made", 2.0)
    assert value_of(tmp_path / "made") == 1.0


def test_foreign_folders_are_never_replaced(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="choose another --out"):
            make(out, overwrite=overwrite)
    assert (out / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UserError, match="is a file"):
        make(out / "thesis.tex", overwrite=True)
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    assert value_of(tmp_path / "empty") == 1.0


def test_symbolic_link_to_a_store_stays_a_link(tmp_path):
    make(tmp_path / "disk")
    (tmp_path / "link").symlink_to("disk")
    make(tmp_path / "link", 3.0, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert value_of(tmp_path / "link") == value_of(tmp_path / "disk") == 3.0


def test_nothing_added_makes_nothing(tmp_path):
    with pytest.raises(UserError, match="skipped .a.dat: truncated"), StoreWriter(tmp_path / "made", {}) as writer:
        writer.skip("a.dat", "truncated")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_samples_are_refused(tmp_path, bad):
    with pytest.raises(UserError, match="a.dat: NaN"), StoreWriter(tmp_path / "made", {}) as writer:
        add(writer, bad, trace_source_file="a.dat")


@pytest.mark.parametrize("shape", [(30,), (2, 0), (1, 2, 3)])
def test_wrong_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="must be"), StoreWriter(tmp_path / "made", {}) as writer:
        writer.add(np.zeros(shape), {"trace_sampling_rate_hz": 1.0})
