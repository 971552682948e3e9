"""Reading a day of miniSEED in another process, which a damaged file may crash, against reading it in this one.

    python benchmarks/reading.py [--seconds 86400] [--repeats 5]

Three components at 100 Hz in one Steim-2 file. Beside it the same with arrays received into a bytearray, as it was
before, and the first call, which starts the process: that is paid once a command, while PyTorch loads the checkpoint.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy

from seisml.terminal.text_table import text_table
from seisml.waveforms.read import read_waveforms
from seisml.workers import transfer
from seisml.workers.pool import Worker

RATE = 100.0


def write_day(path: Path, n_samples: int) -> None:
    generator = np.random.default_rng(0)
    header = {"network": "XX", "station": "AAA", "sampling_rate": RATE}
    obspy.Stream(
        obspy.Trace(generator.normal(0, 1000, n_samples).astype(np.int32), {**header, "channel": f"HH{c}"})
        for c in "ZNE"
    ).write(str(path), format="MSEED", encoding="STEIM2")


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def with_bytearrays(function: Callable[[], object]) -> None:
    """Call a function while what a pipe brings is received as it was before."""

    def read(pipe: io.FileIO, size: int) -> bytearray:
        content = bytearray(size)
        left = memoryview(content)
        while left:
            left = left[pipe.readinto(left) :]
        return content

    now, transfer._read = transfer._read, read
    try:
        function()
    finally:
        transfer._read = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=86_400, help="length of the record")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    worker, before = Worker(), Worker()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.mseed"
        write_day(path, round(arguments.seconds * RATE))
        ways = {
            "in this process": lambda: read_waveforms(path),
            "in another": lambda: worker.call(read_waveforms, path),
            "in another, into a bytearray": lambda: with_bytearrays(lambda: before.call(read_waveforms, path)),
        }
        first = {way: seconds(read) for way, read in ways.items()}
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(arguments.repeats):  # in turn, so that whatever else the machine does falls on all alike
            best = {way: min(best[way], seconds(read)) for way, read in ways.items()}
    here = best["in this process"]
    rows = [{"read": way, "s": best[way], "ratio": best[way] / here, "first, s": first[way]} for way in ways]
    print(text_table(rows, f"{arguments.seconds} s of 3 components, best of {arguments.repeats}"))


if __name__ == "__main__":
    main()
