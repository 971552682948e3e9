"""What the folders on the command line are: runs, cross-validations, comparisons, predictions of continuous records."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seisml.errors import UserError, shown
from seisml.report.runs import Run, read_run
from seisml.values.file_names import (
    CONFIG_FILE,
    DETECTIONS_FILE,
    FOLD,
    PREDICTIONS_FILE,
    RESULTS_FILE,
    STATION_DAYS_FILE,
    SUMMARY_FILE,
)

MOST_RUNS = 500
DEEPEST = 4  # folders below one that was named


@dataclass
class Gathered:
    """The folders, by what is in them.

    Attributes:
        runs: Of single runs and cross-validations.
        comparisons: Of ``seisml compare``.
        records: Of ``seisml predict``.
        problems: What was left out, a line each.
    """

    runs: list[Run] = field(default_factory=list)
    comparisons: list[Path] = field(default_factory=list)
    records: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(folders: Sequence[Path]) -> Gathered:
    """Find out what lies in folders; those that hold no run themselves are searched for runs.

    Raises:
        UserError: A folder is missing, or holds nothing to report on.
    """
    found, runs = Gathered(), []
    for folder in folders:
        before = len(runs), len(found.comparisons), len(found.records)
        if not folder.is_dir():
            cure = "give a run's folder" if not folder.exists() else "give the folder that it lies in"
            raise UserError(f"{shown(folder)}: is not a folder; {cure}")
        _look(Path(os.path.abspath(folder)), found, runs, DEEPEST)
        if before == (len(runs), len(found.comparisons), len(found.records)):
            raise UserError(
                f"{shown(folder)}: holds nothing that seisml has left (config.yaml and metrics.json of a run, "
                "summary.csv of seisml compare, detections.csv of seisml predict)"
            )
    runs = list(dict.fromkeys(runs))
    if len(runs) > MOST_RUNS:
        found.problems.append(f"{len(runs)} runs were found, the first {MOST_RUNS} are shown; name fewer folders")
    found.comparisons, found.records = list(dict.fromkeys(found.comparisons)), list(dict.fromkeys(found.records))
    kept = runs[:MOST_RUNS]
    found.runs = [_read(folder, name) for folder, name in zip(kept, short_names(kept), strict=True)]
    return found


def _look(folder: Path, found: Gathered, runs: list[Path], depth: int) -> None:
    if _has(folder, DETECTIONS_FILE, STATION_DAYS_FILE):
        found.records.append(folder)
    elif _has(folder, SUMMARY_FILE, RESULTS_FILE):
        found.comparisons.append(folder)
    elif _has(folder, CONFIG_FILE) or _has(folder, PREDICTIONS_FILE):
        runs.append(folder)
    elif depth > 0:
        for inner in _folders(folder):
            _look(inner, found, runs, depth - 1)


def _read(folder: Path, name: str) -> Run:
    run = read_run(folder, name)
    folds = [inner for inner in _folders(folder) if FOLD.fullmatch(inner.name) and _has(inner, CONFIG_FILE)]
    run.folds = [read_run(inner, inner.name) for inner in folds[:100]]
    return run


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_file() for name in names)


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder, 10 behind 9; links are not followed, hidden ones left out."""
    try:
        inner = [path for path in folder.iterdir() if not path.name.startswith(".")]
        inner = [path for path in inner if path.is_dir() and not path.is_symlink()]
    except OSError:  # no permission: nothing is found there
        return []
    return sorted(inner, key=lambda path: by_numbers(path.name))


def by_numbers(text: str) -> list[str | int]:
    """Text and numbers of a name in turn: what to sort by, so that 10 stands behind 9."""
    parts: list[str | int] = list(re.split(r"([0-9]{1,18})", text))
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def short_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of paths, as many as it takes to tell all of them apart."""
    most = max((len(folder.parts) for folder in folders), default=1)
    names = [folder.name for folder in folders]
    for count in range(1, most + 1):
        names = ["/".join(folder.parts[-count:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names
