"""``seisml prepare lanl_demo``: a synthetic experiment of the LANL kind, small enough for a laptop.

How 150,000 samples 4 to 6 s before failure compare with the contest's segments ``seg_00030f`` and ``seg_0012b5``
(a test measures it; the median of the 17 cycles here, in brackets their range):

- quantiles 0.2, 0.5, 0.8 and 0.95 of the rolling standard deviation over 50 samples: 2.7, 3.1, 4.1 and 9.3; 2.7, 3.2,
  4.3 and 8.2-9.7 in the segments;
- standard deviation: 5.8 (4.4-8.5); 4.9 and 5.9;
- kurtosis: 50 (16-159); 32 and 59;
- quantiles 0.99 and 0.999 of the absolute deviation from the median: 21 and 52 counts; 18-23 and 37-58;
- shares of the power below 100, from 100 to 200, 200 to 300, 300 to 500 and above 500 kHz: 0.09, 0.20, 0.43, 0.12 and
  0.17; 0.09-0.10, 0.24-0.25, 0.40-0.46, 0.08-0.09 and 0.12-0.17.

It differs in that emissions come one by one and not in swarms, that their spectrum is the same for all of a cycle, and
that all cycles ripen alike, as no real ones need to: errors on this record say nothing about those on the contest's.
"""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seisml import __version__
from seisml.datasets.lanl.file import (
    SAMPLING_RATE,
    SIGNAL,
    STRETCHES,
    TEST_IDS,
    TEST_SIGNAL,
    TIME,
    StretchFinder,
)
from seisml.datasets.lanl.prepare import SEGMENT, show
from seisml.datasets.lanl.synthesis import StickSlip, synthesize
from seisml.errors import UserError
from seisml.files import write_atomically
from seisml.prepare.hdf5_file import PREPARED, is_current_file
from seisml.store.folder import fingerprint

EXAMPLE = "seisml prepare lanl_demo --out data/lanl_demo.h5"
COMMAND = "lanl_demo"
OUT = Path("data/lanl_demo.h5")
N_CYCLES = 17  # stretches, as in the contest's record
LARGEST_SCALE = 5000  # a failure is known by a jump of more than a millisecond
_RECIPE = 2  # raise it when the same options would give another record


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    usual = StickSlip()
    parser.add_argument("--out", metavar="FILE", type=Path, default=OUT, help=f"HDF5 file to make (default: {OUT})")
    parser.add_argument("--n-cycles", type=int, default=N_CYCLES, help=f"stretches between failures ({N_CYCLES})")
    parser.add_argument("--scale", type=float, default=usual.scale, help=f"what times are divided by ({usual.scale:g})")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another record (0)")
    parser.add_argument("--no-figures", action="store_true", help="leave out the overview beside the file")
    parser.add_argument("--overwrite", action="store_true", help="make it again, in place of the file there")


def run(arguments: Namespace) -> int:
    """Make the file; returns the exit code."""
    out = Path(os.path.realpath(arguments.out))
    if not prepare_lanl_demo(out, arguments.n_cycles, arguments.scale, arguments.seed, arguments.overwrite):
        print(f"{arguments.out} is up to date (same options); nothing to do. --overwrite makes it again.")
        return 0
    show(out, not arguments.no_figures)
    print(f"Use it: dataset=lanl_demo dataset.root={arguments.out}")
    return 0


def prepare_lanl_demo(
    out: str | Path,
    n_cycles: int = N_CYCLES,
    scale: float = StickSlip.scale,
    seed: int = 0,
    overwrite: bool = False,
) -> bool:
    """Make the file, unless it is there.

    Args:
        out: HDF5 file.
        n_cycles: Stretches between failures.
        scale: What times are divided by.
        seed: Another seed gives another record.
        overwrite: Make it again where it is there.

    Returns:
        Whether it was made.

    Raises:
        UserError: Options that make no record, or another file is in the way.
    """
    if n_cycles < 1 or seed < 0 or not 1 <= scale <= LARGEST_SCALE:
        raise UserError(
            "lanl_demo: give --n-cycles of 1 or more, --seed of 0 or more, and --scale between 1 and "
            f"{LARGEST_SCALE}, not {n_cycles}, {seed} and {scale:g}"
        )
    out = Path(out)
    options = {"command": COMMAND, "recipe": _RECIPE, "n_cycles": n_cycles, "scale": scale, "seed": seed}
    made_from = fingerprint(options, [])
    if is_current_file(out, made_from, overwrite, COMMAND):
        return False
    write_atomically(out, lambda part: _fill(part, n_cycles, StickSlip(scale=scale), seed, made_from))
    return True


def _fill(path: Path, n_cycles: int, options: StickSlip, seed: int, made_from: dict[str, Any]) -> None:
    """Write the file to ``path``."""
    x, time = synthesize(n_cycles, seed, options)
    finder = StretchFinder()
    finder.feed(time)
    with h5py.File(path, "w") as file:
        file.attrs["sampling_rate"], file.attrs["scale"] = SAMPLING_RATE, options.scale
        file[SIGNAL], file[TIME], file[STRETCHES] = x, time, finder.stretches()
        file[TEST_SIGNAL] = np.empty((0, round(SEGMENT / options.scale)), np.int16)
        file.create_dataset(TEST_IDS, (0,), dtype=h5py.string_dtype())
        file[PREPARED] = json.dumps({**made_from, "seisml_version": __version__, "skipped": []})
