"""``seisml predict CHECKPOINT TEST_FOLDER --submission out.csv``: times to failure of the LANL contest's segments."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from seisml.datasets.lanl.prepare import find_segments, read_segment
from seisml.errors import UserError
from seisml.files import write_table
from seisml.inference.devices import check_device
from seisml.methods.predictor import Predictor
from seisml.run.build import load_method
from seisml.tasks.regression import Regression
from seisml.terminal.progress import Progress

COLUMNS = ("seg_id", "time_to_failure")
SAMPLE = "sample_submission.csv"
BATCH = 16  # segments of 150,000 samples at a time


@dataclass(frozen=True)
class Submission:
    """What :func:`submit` wrote.

    Attributes:
        path: The file.
        seg_id: Names of the segments, in its order.
        time_to_failure: What is predicted of each, (N,) in s.
        left_out: Segments of the folder that the sample submission does not ask for.
    """

    path: Path
    seg_id: tuple[str, ...]
    time_to_failure: np.ndarray
    left_out: tuple[str, ...]


def run(arguments: argparse.Namespace) -> int:
    """Write the times to failure of a folder of segments, as ``seisml predict`` was asked to; returns the exit code."""
    if arguments.out is not None or len(arguments.streams) != 1:
        raise UserError("--submission: takes one folder of seg_*.csv, and no --out")
    check_device(arguments.device)
    started = time.perf_counter()
    made = submit(arguments.checkpoint, arguments.streams[0], arguments.submission, arguments.device, arguments.trust)
    if made.left_out:
        print(f"{len(made.left_out)} segments are not in the sample submission and are left out: {made.left_out[0]}...")
    print(f"{len(made.seg_id)} segments in {time.perf_counter() - started:.1f} s: {made.path}")
    return 0


def submit(
    checkpoint: str | Path, folder: str | Path, out: str | Path, device: str = "cpu", trust: Sequence[str] = ()
) -> Submission:
    """Predict all test segments of a folder.

    Args:
        checkpoint: A run's checkpoint that predicts a number from one trace.
        folder: Holds ``seg_*.csv`` (or ``test/seg_*.csv``); ``sample_submission.csv`` in it or beside it says the
            order.
        out: The file to write, whole or not at all.
        device: PyTorch's name of the device.
        trust: Packages whose classes the checkpoint may name.

    Returns:
        What was written.

    Raises:
        UserError: The checkpoint predicts something else; there is no segment, or the sample submission asks for one
            that is not there; a segment has another length than the network's windows, or a row that is not a number.
    """
    method = load_regressor(checkpoint, trust).to(device)
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder; give the one that holds the contest's seg_*.csv")
    paths = {path.stem: path for path in find_segments(folder)}
    if not paths:
        raise UserError(f"{folder}: holds no seg_*.csv, nor does its folder test; give the folder of the test segments")
    wanted = wanted_order(folder, paths)
    times = []
    with Progress("predicting", "segment", len(wanted)) as progress:
        for waveform in _batches([paths[name] for name in wanted], method.facts.n_samples):
            times.append(_predict(method, waveform.to(device)))
            progress.update(len(waveform))
    predicted = np.concatenate(times)
    path = write_table(out, COLUMNS, zip(wanted, (round(value, 6) for value in predicted.tolist()), strict=True))
    return Submission(path, tuple(wanted), predicted, tuple(sorted(set(paths) - set(wanted))))


def load_regressor(checkpoint: str | Path, trust: Sequence[str] = ()) -> Predictor:
    """Load what predicts a number from one trace; :class:`UserError` for everything else."""
    method = load_method(checkpoint, trust)
    if not isinstance(method, Predictor) or not isinstance(method.task, Regression):
        raise UserError(
            f"checkpoint {checkpoint} gives {method.task.gives}, and a submission wants times to failure; "
            "give one that was trained with dataset=lanl"
        )
    if method.in_channels != 1:
        raise UserError(f"checkpoint {checkpoint} looks at {method.in_channels} traces, a segment has one; use another")
    return method


def wanted_order(folder: Path, paths: dict[str, Path]) -> list[str]:
    """Names of the segments in the order of the sample submission, or of their names where there is none.

    Raises:
        UserError: The sample submission is damaged, or asks for a segment that is not there.
    """
    sample = next((path for path in (folder / SAMPLE, folder.parent / SAMPLE) if path.is_file()), None)
    if sample is None:
        return sorted(paths)
    try:
        table = pd.read_csv(sample, dtype=str)
    except ValueError as error:  # pandas' errors of parsing are such
        raise UserError(f"{sample}: is not a CSV file ({str(error)[:100]}); copy it again") from error
    if COLUMNS[0] not in table:
        raise UserError(f"{sample}: has no column {COLUMNS[0]!r} (it has {', '.join(map(str, table))}); copy it again")
    wanted = table[COLUMNS[0]].fillna("").tolist()
    for line, name in enumerate(wanted, start=2):
        if name not in paths:
            raise UserError(f"{sample}: line {line}: {folder} holds no {name[:40]}.csv; copy the test segments again")
    if len(set(wanted)) < len(wanted):
        raise UserError(f"{sample}: names a segment twice; copy it again")
    return wanted


def _batches(paths: list[Path], n_samples: int) -> Iterator[torch.Tensor]:
    """Waveforms (B, 1, T) of successive segments; the next batch is read while this one is looked at."""
    with ThreadPoolExecutor(2) as pool:
        parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
        reading = [pool.submit(read_segment, path, n_samples) for path in parts[0]]
        for following in [*parts[1:], []]:
            segments = [future.result() for future in reading]
            reading = [pool.submit(read_segment, path, n_samples) for path in following]
            yield torch.from_numpy(np.stack(segments)).float()[:, None]


@torch.inference_mode()
def _predict(method: Predictor, waveform: torch.Tensor) -> np.ndarray:
    """Times to failure (B,) of waveforms (B, 1, T)."""
    zero = torch.zeros(len(waveform), dtype=torch.int64, device=waveform.device)
    number = torch.arange(len(waveform), device=waveform.device)
    batch = {"waveform": waveform, "label": zero * torch.nan, "index": number, "start": zero, "epoch": zero}
    output, _ = method.answer(batch)
    return method.task.predicted(output, method.facts).double().cpu().numpy()
