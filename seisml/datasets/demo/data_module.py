"""The embedded data set ``demo``: synthetic events of the eight Aknes classes, made in seconds, no download."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from seisml.data.datamodule import StoreDataModule
from seisml.datasets.demo.events import CHANNELS, CLASSES, N_SAMPLES, SAMPLING_RATE, synthesize
from seisml.errors import UserError
from seisml.store.store import UNLABELED, StoreWriter, is_current
from seisml.terminal.progress import follow
from seisml.waveforms.preprocessing import Preprocessing

EXAMPLE = "seisml prepare demo --out data/demo"
N_PER_CLASS = 50
N_UNLABELED = 800
_RECIPE = 1  # raise it when the same options would give other waveforms


def prepare_demo(
    out: str | Path,
    n_per_class: int = N_PER_CLASS,
    n_unlabeled: int = N_UNLABELED,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Make the store, unless it is there.

    Each event has one generator, from (seed, class, number): a larger set contains a smaller one.

    Args:
        out: Folder of the store.
        n_per_class: Events of each of the eight classes.
        n_unlabeled: Further events, of all classes, without a label.
        seed: Another seed gives other events.
        overwrite: Make it again, in place of whatever store is there.
        progress: Show a progress bar.

    Returns:
        ``out``.

    Raises:
        UserError: Counts below 1 (0 for ``n_unlabeled``), or another store is in the way.
    """
    if n_per_class < 1 or n_unlabeled < 0 or seed < 0:
        raise UserError("demo: give n_per_class of 1 or more, n_unlabeled and seed of 0 or more")
    options = _options(n_per_class, n_unlabeled, seed)
    if is_current(out, options) and not overwrite:
        return Path(out)
    events = [(label, label, number) for label in CLASSES for number in range(n_per_class)]
    names = list(CLASSES)
    events += [(UNLABELED, names[number % len(names)], number) for number in range(n_unlabeled)]
    try:
        with StoreWriter(out, options, overwrite=overwrite) as writer:
            for category, kind, number in follow(events, "making demo", "event", shown=progress):
                writer.add(*_record(category, kind, number, seed))
    except UserError:
        if not is_current(out, options):  # another process may have finished the same store meanwhile
            raise
    return Path(out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``seisml prepare demo``."""
    parser.add_argument("--out", type=Path, default=Path("data/demo"), help="folder of the store (default: data/demo)")
    parser.add_argument("--n-per-class", type=int, default=N_PER_CLASS, help=f"events per class ({N_PER_CLASS})")
    parser.add_argument("--n-unlabeled", type=int, default=N_UNLABELED, help=f"unlabelled events ({N_UNLABELED})")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other events (0)")
    parser.add_argument("--overwrite", action="store_true", help="make it again, in place of the store there")


def run(arguments: argparse.Namespace) -> int:
    """Run ``seisml prepare demo``; returns the exit code."""
    out, counts = arguments.out, (arguments.n_per_class, arguments.n_unlabeled, arguments.seed)
    if is_current(out, _options(*counts)) and not arguments.overwrite:
        print(f"{out} is up to date; nothing to do (--overwrite makes it again)")
        return 0
    prepare_demo(out, *counts, overwrite=arguments.overwrite, progress=True)
    print(f"{out}: {counts[0]} events of each of {', '.join(CLASSES)}; {counts[1]} unlabelled ones")
    print(f"Use it: dataset=demo dataset.root={out}")
    return 0


def _options(n_per_class: int, n_unlabeled: int, seed: int) -> dict[str, Any]:
    steps = Preprocessing(sampling_rate=SAMPLING_RATE, length=N_SAMPLES / SAMPLING_RATE, unit="counts")
    return {
        "dataset": "demo",
        "preprocessing": steps.to_dict(),
        "recipe": _RECIPE,
        "n_per_class": n_per_class,
        "n_unlabeled": n_unlabeled,
        "seed": seed,
    }


def _record(category: str, kind: str, number: int, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Make one record of a kind, and the row that files it under a category."""
    stream = [*CLASSES, UNLABELED].index(category)
    generator = np.random.default_rng([seed, stream, number])
    waveform, snr = synthesize(kind, generator)
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(generator.integers(0, 90 * 86_400_000)))
    return waveform, {
        "trace_category": category,
        "source_id": f"demo{seed}_{category}_{number:05d}",
        "trace_start_time": start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "trace_sampling_rate_hz": SAMPLING_RATE,
        "trace_channels": ";".join(CHANNELS),
        "station_network_code": "SY",
        "station_code": "DEM",
        "trace_snr_db": round(snr, 2),
    }


class DemoDataModule(StoreDataModule):
    """The embedded data set; its store is made where it is missing. Arguments as in :class:`StoreDataModule`."""

    def __init__(self, root: str = "data/demo", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)

    def prepare_data(self) -> None:
        """Make the store where there is none."""
        if not self.root.exists():
            prepare_demo(self.root, progress=True)
