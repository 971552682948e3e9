"""Small data in the place of those that the documentation's pages name, from the tests' generators."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from obspy import Stream, Trace

from seisml.datasets.demo.data_module import prepare_demo
from seisml.datasets.lanl.demo import prepare_lanl_demo
from seisml.datasets.lanl.synthesis import StickSlip, synthesize
from tests.continuous_records import RATE, START, make_record, make_stream, write_checkpoint
from tests.datasets.test_lanl import write_csv
from tests.datasets.test_tremor import write_file
from tests.docs.pages import REPO
from tests.prepare.test_catalog import quakeml
from tests.stores import write_network, write_store

Maker = Callable[[Path], object]


def recordings(folder: Path) -> None:
    """Classes of event files of three components; some events have no class."""
    generator = np.random.default_rng(0)
    time = np.arange(3000) / 100.0
    for kind, label in enumerate(("earthquake", "noise", "rockfall", "Unlabeled")):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            tone = 20 * np.sin(2 * np.pi * (3 + 8 * kind) * time) * np.exp(-((time - 4) ** 2))
            stream = make_stream((tone + generator.standard_normal((3, 3000))).astype(np.float32), 100.0)
            stream.write(str(folder / label / f"{label}{number:02d}.mseed"), format="MSEED")


def laboratory(folder: Path) -> None:
    """Three classes of sixteen events, each seen by two sensors, a file each."""
    generator = np.random.default_rng(0)
    for kind, label in enumerate(("AE", "UP", "noise")):
        (folder / label).mkdir(parents=True)
        for event in range(16):
            for sensor in (1, 2):
                x = generator.standard_normal(1000) + 5 * kind * np.sin(np.arange(1000) * 0.3 * kind)
                header = {"sampling_rate": 1e7, "station": f"OL{sensor:02d}", "channel": "Z"}
                path = folder / label / f"{label}{event}_OL{sensor:02d}.mseed"
                Stream([Trace(x.astype(np.float32), header)]).write(str(path), format="MSEED")


def stations(folder: Path) -> None:
    """SAC files, one for each component of each station that saw an event."""
    for label in ("earthquake", "Unlabeled"):
        (folder / label).mkdir(parents=True)
        for event in range(4):
            for trace in make_stream(make_record(30, {10.0: "earthquake"}, seed=event)):
                path = folder / label / f"{event}_{trace.stats.station}_{trace.stats.channel}.sac"
                trace.write(str(path), format="SAC")


def catalogued(folder: Path) -> None:
    """An event file of one station for each event of ``../CATALOG``, P picks in it."""
    folder.mkdir()
    (folder.parent / "CATALOG").mkdir()
    for event in range(12):
        start = START + 3600 * event
        stream = make_stream(make_record(120, {60.0: "earthquake"}, seed=event), start=start)
        stream.write(str(folder / f"{event}.mseed"), format="MSEED")
        picks = {("AAA", "P"): start + 60, ("AAA", "S"): start + 62}
        quakeml(folder.parent / "CATALOG" / f"{event}.xml", (f"event{event}", start + 55, picks))


def archive(folder: Path) -> None:
    """Ten minutes of two stations that see the same two events."""
    folder.mkdir()
    for seed, station in enumerate(("AAA", "BBB")):
        waveform = make_record(600, {150.0 + seed: "rockfall", 400.0 + seed: "earthquake"}, seed=seed)
        make_stream(waveform, station=station).write(str(folder / f"{station}.mseed"), format="MSEED")


def checkpoint(path: Path) -> None:
    """A small network that knows the events of :func:`archive`."""
    shutil.move(write_checkpoint(path.parent / "trained"), path)


def day(path: Path) -> None:
    """Two minutes of one station."""
    make_stream(make_record(120, {60.0: "rockfall"})).write(str(path), format="MSEED")


def event(path: Path) -> None:
    """A window of the network's length."""
    make_stream(make_record(200 / RATE, {4.0: "rockfall"})).write(str(path), format="MSEED")


def demo(folder: Path) -> None:
    """The embedded data set, smaller."""
    prepare_demo(folder, n_per_class=25, n_unlabeled=24)


def aknes(folder: Path) -> None:
    """A store in the place of the Åknes archive's."""
    classes = ("Noise", "Regional", "Rockfall")
    write_store(folder, n_events=30, n_traces=2, n_samples=3000, classes=classes, unlabelled=10)


def other_store(folder: Path) -> None:
    """Another store of the same classes, as :func:`store`."""
    write_store(folder, n_events=12)


def store(folder: Path) -> None:
    """A store of two classes, with a column of numbers."""
    write_store(folder, unlabelled=8)


def network(folder: Path) -> None:
    """A store whose events several stations recorded."""
    write_network(folder)


def convnetquake(folder: Path) -> None:
    """A store in the place of the one that `seisml prepare convnetquake` makes."""
    write_store(folder, n_events=60, classes=("noise", "cluster_1", "cluster_2"))


def tremor(path: Path) -> None:
    """Windows of tremor and none."""
    write_file(path, n=80, t=1100)


def lanl_demo(path: Path) -> None:
    """The synthetic laboratory record, shorter."""
    prepare_lanl_demo(path, scale=400)


def contest(folder: Path) -> None:
    """The contest's folder with a short record: six cycles, each a little longer than a window."""
    x, t = synthesize(6, 0, StickSlip(scale=200))
    write_csv(folder / "train.csv", x, t)
    (folder / "test").mkdir()
    pd.DataFrame({"acoustic_data": x[:150_000]}).to_csv(folder / "test" / "seg_a.csv", index=False)


def configs(folder: Path) -> None:
    """The clone's configs."""
    shutil.copytree(REPO / "configs", folder)


STAND_INS: dict[str, dict[str, Maker]] = {  # page -> path that it names -> what makes it
    "README.md": {"RECORDINGS": recordings},
    "docs/index.md": {"RECORDINGS": recordings, "data/demo": demo},
    "docs/own_data.md": {"RECORDINGS": recordings, "LAB_AE": laboratory, "STATIONS": stations, "WAVEFORMS": catalogued},
    "docs/training.md": {"data/demo": demo, "STORE": network, "OTHER": network, "data/picked": store},
    "docs/data_format.md": {},
    "docs/evaluation.md": {"data/demo": demo, "STORE": store, "OTHER": other_store},
    "docs/continuous.md": {"CHECKPOINT": checkpoint, "ARCHIVE": archive},
    "docs/report.md": {"data/demo": demo, "CHECKPOINT": checkpoint, "ARCHIVE": archive},
    "docs/models.md": {"CHECKPOINT": checkpoint, "DAY.mseed": day, "EVENT.mseed": event},
    "docs/experiments.md": {"STORE": store, "configs": configs},
    "docs/extending.md": {"data/demo": demo, "configs": configs},
    "docs/systems.md": {"data/aknes": aknes, "data/tremor_20hz.h5": tremor, "data/convnetquake": convnetquake},
    "docs/lab_ae.md": {"SRC": laboratory},
    "docs/lanl.md": {"LANL-Earthquake-Prediction": contest, "data/lanl_demo.h5": lanl_demo},
}


def make_all(page: str, folder: Path) -> None:
    """Make what a page names below a folder."""
    for name, make in STAND_INS.get(page, {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
