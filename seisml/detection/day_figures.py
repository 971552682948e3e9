"""The picture of each station-day; those that would be the same are left as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisml.detection.day_plot import day_plot
from seisml.detection.detections import Detection, DetectionRule
from seisml.evaluation.figures.style import save
from seisml.files import naming_disk_errors, write_text
from seisml.inference.probabilities import read_probabilities
from seisml.inference.station_day import DayReport, ScanSettings, day_files
from seisml.terminal.progress import follow
from seisml.waveforms.index import Instrument
from seisml.waveforms.streams import StationDay
from seisml.waveforms.times import DAY_NS

LEDGER_FILE = ".drawn.tsv"


def draw(
    tasks: Sequence[StationDay],
    reports: dict[str, DayReport],
    found: Sequence[tuple[Instrument, Detection]],
    settings: ScanSettings,
    rule: DetectionRule,
    out: Path,
    progress: bool = False,
) -> None:
    """Draw each station-day; those whose picture would be the same are left as they are."""
    by_instrument: dict[Instrument, list[Detection]] = {}
    for instrument, detection in found:
        by_instrument.setdefault(instrument, []).append(detection)
    ledger = Ledger(out / "figures" / LEDGER_FILE)
    for task in follow(tasks, "drawing", "station-day", shown=progress):
        files, path = day_files(out, task), out / "figures" / f"{task.name}.png"
        if reports[task.name].status == "failed" or not files["envelope"].exists():
            continue
        of_day = [d for d in by_instrument.get(task.instrument, ()) if d.start < task.day + DAY_NS and d.end > task.day]
        state = [repr(of_day), repr(rule), files["report"].stat().st_mtime_ns]
        key = hashlib.sha256(json.dumps(state).encode()).hexdigest()
        if ledger.keys.get(task.name) == key and path.exists():
            continue
        with np.load(files["envelope"]) as arrays:
            envelope = dict(arrays)
        times, probability = read_probabilities(files["probability"], len(rule.classes), settings.grid.step)
        title = f"{task.instrument}, {task.date}"
        save(day_plot(title, task.day, envelope, times, probability, of_day, rule, settings.grid.length), path)
        ledger.add(task.name, key)


class Ledger:
    """What each picture was drawn from; a line each, added as the picture is there.

    Lines that a killed command has left half-written, and those of pictures drawn anew, go at the next start.

    Args:
        path: The file; made with the first line.

    Attributes:
        keys: Of each station-day's picture, by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: dict[str, str] = {}
        if not path.is_file():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, key = line.partition("\t")
            self.keys[name] = key
        write_text(path, "".join(_line(*entry) for entry in self.keys.items()))

    def add(self, name: str, key: str) -> None:
        """Note a picture that was drawn."""
        self.keys[name] = key
        with naming_disk_errors(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(_line(name, key))


def _line(name: str, key: str) -> str:
    return f"{name}\t{key}\n"
