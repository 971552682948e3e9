"""``seisml prepare lanl``: the contest's ``train.csv`` and ``test/seg_*.csv`` become one HDF5 file that is sliced."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from seisml import __version__
from seisml.datasets.lanl.file import (
    SAMPLING_RATE,
    SIGNAL,
    STRETCHES,
    TEST_IDS,
    TEST_SIGNAL,
    TIME,
    StretchFinder,
    checked_stretches,
    open_lanl,
)
from seisml.datasets.lanl.rows import Block, read_csv, read_npz
from seisml.errors import UserError
from seisml.evaluation.figures import lanl as pictures
from seisml.evaluation.figures.style import save
from seisml.files import write_atomically
from seisml.prepare.hdf5_file import PREPARED, is_current_file
from seisml.store.folder import fingerprint
from seisml.terminal.progress import Progress

EXAMPLE = "seisml prepare lanl LANL-Earthquake-Prediction --out data/lanl.h5"
CHUNK = 2**20  # samples that lie together in the file
SEGMENT = 150_000  # rows of a test segment
CSV_COLUMNS = {"acoustic_data": np.dtype(np.int16), "time_to_failure": np.dtype(np.float32)}
NPZ_ARRAYS = {"signal": np.dtype(np.int16), "quake_time": np.dtype(np.float32)}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source", metavar="SRC", type=Path,
        help="folder of the contest (train.csv, and test/seg_*.csv where they are), or the .npz and index CSV of "
        "compress_source_data.py",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="HDF5 file to make")
    parser.add_argument("--segment", metavar="N", type=int, default=SEGMENT,
                        help=f"rows of a test segment (default: {SEGMENT})")  # fmt: skip
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads (default: one per core)")
    parser.add_argument("--no-figures", action="store_true", help="leave out the overview beside the file")
    parser.add_argument("--overwrite", action="store_true", help="rebuild the file where it exists")


def run(arguments: Namespace) -> int:
    """Prepare the file.

    Returns:
        Exit code 0.

    Raises:
        UserError: A file is missing or damaged, with the line where it is; or another file stands at ``--out``.
    """
    for option, value in (("--segment", arguments.segment), ("--workers", arguments.workers)):
        if value < 1:
            raise UserError(f"{option} {value}: must be 1 or more")
    train, index, segments = find_sources(arguments.source)
    out = Path(os.path.realpath(arguments.out))
    options = {"command": "lanl", "segment": arguments.segment}
    made_from = fingerprint(options, [train, *([index] if index else []), *segments])
    if is_current_file(out, made_from, arguments.overwrite, "lanl"):
        print(f"{arguments.out} is up to date (same files, same options); nothing to do. --overwrite rebuilds it.")
        return 0
    write_atomically(out, lambda part: _fill(part, (train, index, segments), arguments, made_from))
    show(out, not arguments.no_figures)
    print(f"{out.stat().st_size / 2**20:.0f} MiB in {arguments.out}")
    return 0


def show(out: Path, figures: bool) -> None:
    """Say what a finished file holds, and draw the overview beside it where it is asked for."""
    with open_lanl(out) as file:
        print(describe(file))
    for name, figure in (pictures.overview(out) if figures else {}).items():
        print(f"figure  {save(figure, out.with_name(f'{out.stem}_{name}.png'))}")


def _fill(
    path: Path,
    sources: tuple[Path, Path | None, list[Path]],
    arguments: Namespace,
    made_from: dict[str, Any],
) -> None:
    """Write the file to ``path``."""
    train, index, segments = sources
    with h5py.File(path, "w") as file:
        file.attrs["sampling_rate"] = SAMPLING_RATE
        _write_train(file, train, index, arguments.workers)
        skipped = _write_test(file, segments, arguments.segment, arguments.workers)
        file[PREPARED] = json.dumps({**made_from, "seisml_version": __version__, "skipped": skipped})


def find_sources(source: Path) -> tuple[Path, Path | None, list[Path]]:
    """Find the training rows, the index of stretches where there is one, and the test segments.

    Raises:
        UserError: There is no training file.
    """
    folder = source if source.is_dir() else source.parent
    if source.is_file():
        train = source
    else:
        archives = sorted(folder.glob("*.npz"))
        train = folder / "train.csv" if (folder / "train.csv").is_file() else archives[0] if archives else None
        if train is None:
            raise UserError(f"{source}: holds no train.csv and no .npz; give the folder of the contest's files")
    index = None
    if train.suffix == ".npz":
        index = next((path for path in sorted(train.parent.glob("*.csv")) if _is_index(path)), None)
    return train, index, find_segments(folder)


def find_segments(folder: Path) -> list[Path]:
    """Test segments of the contest, by name: those in its folder ``test``, or where there are none those beside it."""
    return next((found for place in (folder / "test", folder) if (found := sorted(place.glob("seg_*.csv")))), [])


def _is_index(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return {"indx_start", "indx_end"} <= {name.strip() for name in file.readline().split(",")}


def _write_train(file: h5py.File, train: Path, index: Path | None, workers: int) -> None:
    """Copy the training rows, a block at a time, and find the stretches."""
    signal, time = (
        file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,))
        for name, dtype in ((SIGNAL, np.int16), (TIME, np.float32))
    )
    finder = StretchFinder()
    names = tuple(NPZ_ARRAYS) if train.suffix == ".npz" else tuple(CSV_COLUMNS)
    with Progress("reading", "B", total=train.stat().st_size) as progress:
        for block in _train_blocks(train, workers):
            x, t = (block.columns[name] for name in names)
            if (t < 0).any():
                row = finder.n_samples + int(np.flatnonzero(t < 0)[0])
                raise UserError(f"{train}: the time to failure of row {row} is {t.min():g} s; it is never negative")
            finder.feed(t)
            signal.resize((finder.n_samples,))
            time.resize((finder.n_samples,))
            signal[finder.n_samples - len(x) :] = x
            time[finder.n_samples - len(x) :] = t
            progress.update(block.n_bytes)
    if not finder.n_samples:
        raise UserError(f"{train}: holds no row; copy it again")
    stretches = finder.stretches()
    if index is not None:
        table = pd.read_csv(index)
        stretches = checked_stretches(table[["indx_start", "indx_end"]].to_numpy(), finder.n_samples, str(index))
    file[STRETCHES] = stretches


def _train_blocks(train: Path, workers: int) -> Iterator[Block]:
    return read_npz(train, NPZ_ARRAYS) if train.suffix == ".npz" else read_csv(train, CSV_COLUMNS, workers)


def _write_test(file: h5py.File, segments: list[Path], length: int, workers: int) -> list[tuple[str, str]]:
    """Copy the test segments; returns those left out, with the reason."""
    skipped: list[tuple[str, str]] = []
    data = file.create_dataset(TEST_SIGNAL, (len(segments), length), np.int16, maxshape=(None, length))
    kept: list[str] = []
    with Progress("segments", "file", total=len(segments)) as progress:
        for path in segments:
            try:
                x = read_segment(path, length, workers)
            except UserError as reason:
                skipped.append((path.name, str(reason)))
            else:
                data[len(kept)] = x
                kept.append(path.stem)
            progress.update()
    data.resize((len(kept), length))
    file.create_dataset(TEST_IDS, data=kept, dtype=h5py.string_dtype())
    return skipped


def read_segment(path: Path, length: int = SEGMENT, workers: int = 1) -> np.ndarray:
    """Read a test segment.

    Args:
        path: CSV file with a column ``acoustic_data``.
        length: Rows that it must have.
        workers: Threads.

    Returns:
        (length,) int16.

    Raises:
        UserError: It has another length, or a row that is not a number.
    """
    column = {"acoustic_data": CSV_COLUMNS["acoustic_data"]}
    parts = [block.columns["acoustic_data"] for block in read_csv(path, column, workers)]
    x = np.concatenate(parts) if parts else np.empty(0, np.int16)
    if len(x) != length:
        raise UserError(f"{path}: has {len(x)} rows, a segment has {length}; leave it out or copy it again")
    return x


def describe(file: h5py.File) -> str:
    """Say what a prepared file holds: its stretches, and which segments were left out."""
    stretches, time, skipped = file[STRETCHES][()], file[TIME], json.loads(file[PREPARED][()])["skipped"]
    rate = file.attrs["sampling_rate"]
    lines = [f"{len(file[SIGNAL]):,} samples in {len(stretches)} stretches; {len(file[TEST_IDS])} test segments"]
    for number, (begin, end) in enumerate(stretches.tolist()):
        lines.append(
            f"  stretch {number:2d}: {end - begin:>12,} samples ({(end - begin) / rate:.1f} s), time to failure "
            f"{time[begin]:.3f} to {time[end - 1]:.3f} s"
        )
    if skipped:
        lines.append(f"skipped {len(skipped)}:")
        lines += [f"  {reason}" for _, reason in skipped[:50]]
        lines += [f"  ... and {len(skipped) - 50} more"] if len(skipped) > 50 else []
    return "\n".join(lines)
