"""Preparing the LANL training record, against pandas in chunks and NumPy's compressed archive, end to end.

    python benchmarks/lanl_csv.py [--rows 20000000] [--workers 2] [--folder /tmp]

Writes a synthetic train.csv of that many rows in the contest's format (13.4 bytes a row, failures included), then times
`seisml prepare lanl` (HDF5 with the index of stretches) and what compress_source_data.py does: pandas in chunks of a
million rows, the stretches found, np.savez_compressed. Each runs in a process of its own, and the peak of its memory is
the operating system's. With --rows 20000000 200000000 the growth is shown; --ours-only leaves pandas out.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from seisml.cli import main as seisml
from seisml.datasets.lanl import prepare  # noqa: F401 (so that no import is timed)
from seisml.terminal.text_table import text_table

CHUNK = 1_000_000
CYCLE = 48_000_000  # rows between failures: 12 s at 4 MHz


def write_rows(path: Path, n_rows: int) -> None:
    """Write a record like the contest's: whole counts, and times to failure with ten decimals."""
    generator = np.random.default_rng(0)
    schema = pa.schema([("acoustic_data", pa.int16()), ("time_to_failure", pa.float64())])
    with csv.CSVWriter(path, schema, write_options=csv.WriteOptions(quoting_style="none")) as writer:
        for start in range(0, n_rows, CHUNK):
            number = np.arange(start, min(start + CHUNK, n_rows))
            x = np.round(generator.standard_normal(len(number)) * 5 + 4.5).astype(np.int16)
            left = np.round((CYCLE - number % CYCLE) / 4e6, 10)
            writer.write_batch(pa.record_batch([pa.array(x), pa.array(left)], schema=schema))


def with_pandas(source: Path, out: Path) -> None:
    """Read in chunks, find the stretches, and compress: as compress_source_data.py does."""
    parts = list(pd.read_csv(source, dtype={"acoustic_data": np.int16, "time_to_failure": np.float32}, chunksize=CHUNK))
    x, left = (np.concatenate([part[name].to_numpy() for part in parts]) for name in parts[0])
    starts = np.concatenate([[0], np.flatnonzero(np.diff(left) > 0) + 1])
    index = pd.DataFrame({"indx_start": starts, "indx_end": np.append(starts[1:], len(left))})
    index.to_csv(out.with_suffix(".csv"))
    np.savez_compressed(out, signal=x, quake_time=left)


def with_seisml(source: Path, out: Path, workers: int) -> None:
    """Prepare the file with the command."""
    code = seisml(["prepare", "lanl", str(source), "--out", str(out), "--workers", str(workers), "--no-figures"])
    if code:
        raise SystemExit(code)


def measured(how: str, source: Path, out: Path, workers: int) -> tuple[float, float, float]:
    """Seconds, seconds of processors and peak memory (GiB) of one way, in a process of its own."""
    command = [sys.executable, __file__, "--run", how, str(source), str(out), "--workers", str(workers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, processor, memory = map(float, done.stdout.split()[-3:])
    return seconds, processor, memory


def run_one(how: str, source: Path, out: Path, workers: int) -> None:
    """Run one way and print its seconds, seconds of processors and peak memory in GiB."""
    started, worked = time.perf_counter(), time.process_time()
    with_pandas(source, out) if how == "pandas" else with_seisml(source, out, workers)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    print(f"\n{seconds} {worked} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000_000])
    parser.add_argument("--workers", type=int, default=2, help="threads that parse (default: 2)")
    parser.add_argument("--folder", type=Path, help="where the files go for the time being; by default the system's")
    parser.add_argument("--ours-only", action="store_true", help="leave pandas out")
    parser.add_argument("--run", nargs=3, metavar=("HOW", "SOURCE", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        how, source, out = arguments.run
        run_one(how, Path(source), Path(out), arguments.workers)
        return
    rows = []
    for n_rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            source = Path(folder) / "train.csv"
            write_rows(source, n_rows)
            size = source.stat().st_size / 2**30
            ways = ["seisml"] if arguments.ours_only else ["seisml", "pandas"]
            for how, suffix in zip(ways, (".h5", ".npz"), strict=False):
                out = Path(folder) / f"out{suffix}"
                seconds, worked, memory = measured(how, source, out, arguments.workers)
                rows.append(
                    {
                        "rows": n_rows, "CSV (GiB)": size, "way": how, "s": seconds, "CPU s": worked,
                        "Mrows/s": n_rows / seconds / 1e6, "peak memory (GiB)": memory,
                        "out (GiB)": out.stat().st_size / 2**30,
                    }
                )  # fmt: skip
                print(rows[-1], flush=True)
    print(text_table(rows))


if __name__ == "__main__":
    main()
