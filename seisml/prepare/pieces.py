"""What workers of a cluster have made for a store, in files until the store is written: an interruption loses no more.

A piece holds the outcomes of one task: arrays and JSON, in a safetensors file, so that reading it runs nothing. Its
name is a hash of all that it was made from; a task whose piece is there is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from seisml import __version__
from seisml.errors import UserError
from seisml.files import write_atomically
from seisml.prepare.outcome import Outcome
from seisml.waveforms.record import Record

_FORMAT = 1  # raise it when the same task would make another piece


class Task(Protocol):
    """Outcomes to be made from files. Its ``repr`` says all that they depend on, beside the files and settings."""

    def paths(self) -> Sequence[Path]:
        """The files that it reads."""


def pieces_folder(out: Path) -> Path:
    """Where the pieces of a store (or of a file) are: beside it."""
    target = Path(os.path.realpath(out))
    return target.parent / f".{target.name}.pieces"


def discard_pieces(out: Path) -> None:
    """Remove the pieces of a store that is written, and what earlier runs with other options left of theirs."""
    shutil.rmtree(pieces_folder(out), ignore_errors=True)


def piece_path(folder: Path, task: Task, settings: Any) -> Path:
    """The file of a task's piece.

    Args:
        folder: The store's :func:`pieces_folder`.
        task: The task.
        settings: What is done to it; its ``repr`` says it all.
    """
    states = []
    for path in task.paths():
        try:
            state = path.stat()
            states.append((str(path), state.st_size, state.st_mtime_ns))
        except OSError:
            states.append((str(path), -1, -1))
    text = repr((_FORMAT, __version__, settings, task, states))
    name = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    return folder / name[:2] / f"{name}.safetensors"  # folders stay small enough to be listed


def write_piece(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes of a task, whole or not at all.

    Args:
        path: See :func:`piece_path`.
        outcomes: Their records hold what JSON can say, and arrays.
    """
    arrays: dict[str, np.ndarray] = {}
    told = []
    for outcome in outcomes:
        records = []
        for record in outcome.records:
            arrays[str(len(arrays))] = np.ascontiguousarray(record.waveform)
            records.append(
                {"metadata": record.metadata, "n_dead": record.n_dead, "padded": record.padded, "notes": record.notes}
            )
        told.append({"name": outcome.name, "records": records, "reasons": outcome.reasons, "flat": outcome.flat})
    text = {"outcomes": json.dumps(told)}
    write_atomically(path, lambda part: save_file(arrays, part, text))


def read_piece(path: Path) -> list[Outcome]:
    """Read the outcomes of a task.

    Raises:
        UserError: The file is gone, damaged, or no piece.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            outcomes, number = [], 0
            for told in json.loads(file.metadata()["outcomes"]):
                records = [
                    Record(file.get_tensor(str(k)), **values) for k, values in enumerate(told.pop("records"), number)
                ]
                number += len(records)
                outcomes.append(Outcome(records=records, **told))
            return outcomes
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a piece of a store ({type(error).__name__}: {error}); remove it and run the command again"
        ) from error
