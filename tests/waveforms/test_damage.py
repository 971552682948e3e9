"""Damaged files of real formats: each costs itself, and the good file beside it is read as if it were alone."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from obspy import Stream

from seisml.cli import main
from seisml.store.store import Store
from seisml.waveforms.isolated import read_all_segments, read_isolated
from seisml.waveforms.process import Unusable
from tests.waveforms.test_record import START, trace

FORMATS = {"MSEED": np.int32, "SAC": np.float32, "GSE2": np.int32, "SLIST": np.int32, "TSPAIR": np.float32}


def originals(folder):
    """A small whole file of each format, two traces where it can hold them."""
    folder.mkdir()
    contents = {}
    for format, dtype in FORMATS.items():
        data = np.random.default_rng(1).integers(-5000, 5000, 600).cumsum().astype(dtype)
        traces = [trace("XX.STA..HHZ", data=data), trace("XX.STA..HHN", data=data[::-1].copy())]
        path = folder / format
        Stream(traces[: 1 if format == "SAC" else 2]).write(
            str(path), format=format, **({"reclen": 512} if format == "MSEED" else {})
        )
        contents[format] = path.read_bytes()
    return contents


def mutated(content, random):
    """Bits flipped, cut, a block repeated, left out or made noise, mostly near the header."""
    content = bytearray(content)
    end = len(content) if random.random() < 0.5 else min(len(content), 640)
    kind = random.integers(6)
    first = int(random.integers(end))
    last = min(len(content), first + int(random.integers(1, 40)))
    if kind == 0:
        for place in random.integers(end, size=random.integers(1, 8)):
            content[place] ^= 1 << int(random.integers(8))
    elif kind == 1:
        del content[max(first, 1) :]
    elif kind == 2:
        content[first:first] = content[first:last]
    elif kind == 3:
        del content[first:last]
    elif kind == 4:
        content[first:last] = random.integers(0, 256, last - first, dtype=np.uint8).tobytes()
    else:  # another number in the text or the words of a header
        content[first:last] = random.choice([b"9", b"0", b"\xff", b"\x7f"]) * (last - first)
    return bytes(content)


FILLED = ["--fill-gaps", "zero", "--sampling-rate", "100"]


def check_all(tmp_path, n_good, capsys, *ways):
    """Make a store of the folder in each way, and read the files as predict does."""
    source = tmp_path / "in"
    plain = ["prepare", "folder", str(source), "--out", str(tmp_path / "store"), "--workers", "2", "--overwrite"]
    for extra in ways:
        assert main([*plain, *extra]) == 0
        store = Store(tmp_path / "store")
        rows = [row for row, name in enumerate(store.metadata["trace_source_file"]) if "good" in name]
        assert len(rows) == n_good
        for row in rows:
            np.testing.assert_array_equal(store.read_records([row])[0][0, 0], trace().data.astype(np.float32))
        assert "Traceback" not in capsys.readouterr().err
        assert len(store) + len(store.prepared["skipped"]) == sum(1 for _ in source.rglob("*.*"))
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    for path, scanned in zip(paths, read_all_segments(paths, 2), strict=True):
        assert isinstance(scanned, list) or len(scanned) < 200
        assert isinstance(scanned, list) or "good" not in path.name
    span = (START.ns, (START + 1).ns)
    for path in paths:
        try:
            file = read_isolated(path, span)
        except Unusable as reason:
            assert "good" not in path.name and "\n" not in str(reason)
        else:
            assert sum(len(one.samples) for one in file.traces) < 1e6


@pytest.mark.parametrize("n_cases", [100, pytest.param(500, marks=pytest.mark.long)])
def test_mutated_files_cost_themselves(tmp_path, capsys, n_cases):
    random = np.random.default_rng(20200501)
    contents = originals(tmp_path / "whole")
    folder = tmp_path / "in" / "A"
    folder.mkdir(parents=True)
    for number in range(n_cases):
        format = list(FORMATS)[number % len(FORMATS)]
        (folder / f"{number:04}.{format}").write_bytes(mutated(contents[format], random))
    for number in range(0, n_cases, 50):
        trace().write(str(folder / f"{number:04}.good.mseed"), format="MSEED")
    check_all(tmp_path, n_cases // 50, capsys, [], FILLED)


def test_mutated_seg2_costs_itself(tmp_path, shared_data):
    random = np.random.default_rng(1990)
    whole = (shared_data / "aknes" / "2007_034_45_117472.dat").read_bytes()
    paths = [tmp_path / f"{number:02}.dat" for number in range(24)]
    for path in paths:
        path.write_bytes(mutated(whole, random))
    paths.append(tmp_path / "whole.dat")
    paths[-1].write_bytes(whole)
    read = list(read_all_segments(paths, 2))
    assert len(read[-1]) == 24
    assert all(isinstance(one, list) or ("\n" not in one and len(one) < 200) for one in read)


@pytest.mark.long  # each of them kills a reader, and the next one imports ObsPy anew
def test_files_that_ended_whole_runs(tmp_path, capsys, shared_data):
    damaged = shared_data / "damaged"
    if not damaged.is_dir():
        pytest.skip("needs ../shared/data/damaged")
    folder, n_good = tmp_path / "in" / "A", 0
    folder.mkdir(parents=True)
    for path in sorted(damaged.glob("*.bad.*")):
        shutil.copy(path, folder)
        if n_good < 10:
            trace().write(str(folder / f"{os.path.splitext(path.name)[0]}.good.mseed"), format="MSEED")
            n_good += 1
    check_all(tmp_path, n_good, capsys, FILLED)
