"""``seisml predict`` on a Dask cluster: the same detections as in one process, also where a worker is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.inference import archive
from seisml.inference.station_day import DayReport, ScanSettings, finished, run_day
from seisml.waveforms.streams import StationDay
from tests.continuous_records import START, make_record, make_stream, write_checkpoint

pytestmark = pytest.mark.long
QUIET = PredictOptions(plots=False, threshold=0.7, join=2.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def streams(tmp_path_factory) -> Path:
    """Three stations on two days each, a rockfall and an earthquake on every one."""
    folder = tmp_path_factory.mktemp("in")
    for number, station in enumerate(("AAA", "BBB", "CCC")):
        for day in range(2):
            events = {100.0 + 30 * number: "earthquake", 300.0: "rockfall"}
            x = make_record(400, events, seed=2 * number + day + 40)
            make_stream(x, station=station, start=START + 86400 * day).write(str(folder / f"{station}.{day}.mseed"))
    return folder


def noted_day(task: StationDay, settings: ScanSettings, out: Path, threads: int | None, notes: Path) -> DayReport:
    """A station-day that leaves a line for every time that a process begins to work on it."""
    if finished(task, settings, out) is None:
        with (notes / str(os.getpid())).open("a") as file:
            file.write(f"{task.name}\n")
    return run_day(task, settings, out, threads)


def test_a_killed_worker_costs_one_station_day(tmp_path, checkpoint, streams, dask_cluster, monkeypatch):
    here = predict(checkpoint, [streams], tmp_path / "here", QUIET)
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setattr(archive, "run_day", partial(noted_day, notes=notes))
    work_off, killed = archive.work_off, []

    def killing(*arguments):
        for task, report in work_off(*arguments):
            if not killed:  # the process that has begun something last
                begun = max(notes.iterdir(), key=lambda path: path.stat().st_mtime_ns)
                killed.append(begun.read_text().split()[-1])
                os.kill(int(begun.name), signal.SIGKILL)
            yield task, report

    monkeypatch.setattr("seisml.detection.predict.work_off", killing)
    there = predict(checkpoint, [streams], tmp_path / "there", replace(QUIET, scheduler=dask_cluster))
    assert len(here["detections"]) == 12 and there["detections"] == here["detections"]
    assert all(report.status == "done" for report in there["reports"].values())
    tables = [(tmp_path / name / "detections.csv").read_bytes() for name in ("here", "there")]
    assert tables[0] == tables[1]
    times = Counter(line for path in notes.iterdir() for line in path.read_text().split())
    assert times.keys() == here["reports"].keys() and times.pop(killed[0]) <= 2
    assert set(times.values()) == {1}
    assert predict(checkpoint, [streams], tmp_path / "there", QUIET)["computed"] == 0
