"""What lies in a collection of waveform files."""

from __future__ import annotations

from pathlib import Path

import pytest

from seisml.waveforms import index
from seisml.waveforms.index import drop_repeated


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Six files: two hold the same, one begins like them, one is of their size, one is another's beginning."""
    head, tail = b"\1" * 4096, b"\2" * 4096
    contents = [head + tail, head + head, tail + tail, head + tail, head, b"", b""]
    paths = [tmp_path / f"{number}.mseed" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def test_the_first_of_files_with_the_same_bytes_is_kept(files):
    kept, dropped = drop_repeated(files)
    assert [path.stem for path in kept] == ["0", "1", "2", "4", "5"] and dropped == 2
    assert drop_repeated([]) == ([], 0)


def test_files_of_one_size_are_read_whole_only_where_they_begin_alike(files, monkeypatch):
    read, digest = [], index._digest

    def noted(path: Path, first: int | None = None) -> bytes:
        read.append((path.stem, first))
        return digest(path, first)

    monkeypatch.setattr(index, "_digest", noted)
    drop_repeated(files[:5])
    assert read == [("0", 4096), ("1", 4096), ("2", 4096), ("3", 4096), ("0", None), ("1", None), ("3", None)]
