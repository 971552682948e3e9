"""Windows cut by each prepare command equal what `predict` gives the network of the same in a continuous record."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from obspy import Stream, Trace, UTCDateTime
from omegaconf import OmegaConf

from seisml.cli import main
from seisml.datasets.demo.data_module import prepare_demo
from seisml.datasets.tremor.file import TremorFile
from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.inference import station_day
from seisml.inference.probabilities import read_probabilities
from seisml.inference.scan import Scanner
from seisml.run.build import build_method, load_method
from seisml.store.store import Store
from seisml.tasks.facts import DataFacts
from seisml.waveforms.preprocessing import Preprocessing

START = UTCDateTime(2020, 3, 28, 13)
EVENT = START + 97  # within a gap's reach
RATE, SECONDS = 50.0, 240
GAP = (98.3, 99.5)  # s, within the window around the event
PLACE = (46.0, 8.0)
CONFIG = {
    "model_params": {"_target_": "seisml.methods.convnetquake.ConvNetQuake"},
    "exp_params": {"use_class_weight": False, "backbone_params": {"n_layers": 4, "channels": 4}},
    "front_end": {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": None, "demean": False},
    "seed": 0,
}
EVERY_STEP = (
    "--fill-gaps interpolate --components ZNE --sampling-rate 20 --bandpass 1 5 --detrend linear --unit m/s".split()
)


def record() -> np.ndarray:
    """Noise on an offset, a drift and a slow wave that filters must take away, (3, T)."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(5).standard_normal((3, len(time)))
    slow = 3000 * np.sin(2 * np.pi * 0.11 * time) + 20 * time + 500
    return 100 * noise + slow + 300 * np.sin(2 * np.pi * 3 * time) * np.exp(-(((time - 99) / 2) ** 2))


def write(folder, one_file=False):
    """The record as continuous miniSEED: files end anywhere, and there is a gap."""
    folder.mkdir(parents=True)
    stops = [0, 60.02, GAP[0], GAP[1], 111.5, SECONDS]
    parts = [(a, b) for a, b in zip(stops, stops[1:], strict=False) if a != GAP[0]]
    stream = Stream()
    for data, letter in zip(record(), "ZNE", strict=True):
        for begin, end in parts:
            header = {"network": "XX", "station": "STA", "channel": f"HH{letter}", "sampling_rate": RATE}
            part = data[round(begin * RATE) : round(end * RATE)]
            stream.append(Trace(part.copy(), {**header, "starttime": START + begin}))
    if one_file:
        stream.write(str(folder / "a.dat"), "MSEED")
    for number, trace in enumerate(() if one_file else stream):
        trace.write(str(folder / f"{number}.mseed"), "MSEED")
    return folder


def catalog(folder):
    (folder / "stations.csv").write_text(f"network,station,latitude,longitude\nXX,STA,{PLACE[0]},{PLACE[1]}\n")
    (folder / "events.csv").write_text(f"time,latitude,longitude,mag,id\n{EVENT},{PLACE[0]},{PLACE[1]},8,big\n")
    return ["--stations", str(folder / "stations.csv")]


def write_quakeml(path):
    from obspy.core.event import Catalog, Event, Origin, Pick, WaveformStreamID

    event = Event(origins=[Origin(time=EVENT - 2, latitude=PLACE[0], longitude=PLACE[1], depth=0.0)])
    event.picks.append(Pick(time=EVENT, waveform_id=WaveformStreamID("XX", "STA", channel_code="HHZ"), phase_hint="P"))
    Catalog([event]).write(str(path), "QUAKEML")


def network_input(folder, steps, n_samples, archive, monkeypatch, step=1.0):
    """Run `predict` with a checkpoint that carries the steps; time of each window (ns) -> (C, T) at the encoder."""
    n_channels = len(steps.components)
    config = {**CONFIG, "model_params": {**CONFIG["model_params"], "in_channels": n_channels}}
    method = build_method(OmegaConf.create(config), DataFacts(("noise", "event"), 20.0, n_samples))
    said = {"config": config, "facts": method.facts.to_dict(), "preprocessing": steps.to_dict()}
    checkpoint = folder / "last.ckpt"
    torch.save({"state_dict": method.state_dict(), "seisml": {**said, "front_end": CONFIG["front_end"]}}, checkpoint)
    met: list[np.ndarray] = []

    def watched(path, *arguments):
        loaded = load_method(path, *arguments)
        loaded.encoder.register_forward_pre_hook(lambda _, inputs: met.append(inputs[0].numpy().copy()))
        return loaded

    class General(Scanner):
        def _convert(self):
            """Leave the channels-last path, whose equality with this one is tested beside it."""

    monkeypatch.setattr(station_day, "load_method", watched)
    monkeypatch.setattr(station_day, "Scanner", General)
    station_day._scanner.cache_clear()
    result = predict(checkpoint, [archive], folder / "out", PredictOptions(step=step, plots=False))
    (task,) = result["tasks"]
    times, _ = read_probabilities(station_day.day_files(folder / "out", task)["probability"], 2, step)
    return dict(zip(times.tolist(), np.concatenate(met), strict=True))


def assert_equal(prepared, met):
    size = np.abs(prepared).max()
    assert size > 50  # there is a signal
    np.testing.assert_allclose(met, prepared, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("command", ["folder", "aknes"])
def test_files_of_classes(tmp_path, monkeypatch, command):
    label = "Spike"
    root = tmp_path / "AknesDataFiles" / "DataSamples"
    archive = write(root / label, one_file=True)
    source = root if command == "folder" else tmp_path
    arguments = ["prepare", command, str(source), "--out", str(tmp_path / "store"), "--length", "120", *EVERY_STEP]
    assert main([*arguments, "--workers", "1"]) == 0
    store = Store(tmp_path / "store")
    assert store.preprocessing == Preprocessing("interpolate", "ZNE", 20.0, (1.0, 5.0), 120.0, "linear", "m/s")
    met = network_input(tmp_path, store.preprocessing, 2400, archive, monkeypatch, step=60.0)
    assert_equal(store.read_records([0])[0][0], met[START.ns])


@pytest.mark.parametrize("windows", [False, True])
def test_catalog(tmp_path, monkeypatch, windows):
    archive = write(tmp_path / "archive")
    write_quakeml(tmp_path / "events.xml")
    arguments = ["prepare", "catalog", str(archive), str(tmp_path / "events.xml"), "--out", str(tmp_path / "store")]
    cut = ["--before", "5", "--after", "15"]
    if windows:
        cut = ["--before", "30", "--after", "40", "--windows", "--window-length", "20"]
    assert main([*arguments, *cut, *EVERY_STEP, "--workers", "1"]) == 0
    store = Store(tmp_path / "store")
    assert store.preprocessing.known and len(store) == 1 + windows
    met = network_input(tmp_path, store.preprocessing, 400, archive, monkeypatch, step=0.05 if windows else 1.0)
    for row, start in enumerate(store.metadata["trace_start_time"]):
        assert_equal(store.read_records([row])[0][0], met[UTCDateTime(start).ns])


def test_convnetquake(tmp_path, monkeypatch):
    archive = write(tmp_path / "archive")
    arguments = ["prepare", "convnetquake", str(archive), str(tmp_path / "events.csv"), *catalog(tmp_path)]
    options = ["--clusters", "1", "--lead", "3", "3", "--noise-ratio", "0", "--length", "12", "--workers", "1"]
    assert main([*arguments, "--out", str(tmp_path / "store"), *options, *EVERY_STEP]) == 0
    store = Store(tmp_path / "store")
    assert store.preprocessing == Preprocessing("interpolate", "ZNE", 20.0, (1.0, 5.0), 12.0, "linear", "m/s")
    met = network_input(tmp_path, store.preprocessing, 240, archive, monkeypatch)
    assert_equal(store.read_records([0])[0][0], met[(EVENT - 3).ns])


def test_tremor(tmp_path, monkeypatch):
    archive = write(tmp_path / "archive")
    arguments = ["prepare", "tremor", str(archive), "--events", str(tmp_path / "events.csv"), *catalog(tmp_path)]
    steps = [*EVERY_STEP, "--components", "Z"]
    assert main([*arguments, "--out", str(tmp_path / "t.h5"), "--length", "20", "--negatives", "0", *steps]) == 0
    store = TremorFile(tmp_path / "t.h5")
    assert store.preprocessing == Preprocessing("interpolate", "Z", 20.0, (1.0, 5.0), 20.0, "linear", "m/s")
    met = network_input(tmp_path, store.preprocessing, 400, archive, monkeypatch)
    prepared = store.read_records([0])[0][0]
    assert_equal(prepared, met[EVENT.ns])
    unfiltered = replace(store.preprocessing, bandpass=None)  # what a tremor checkpoint met before it carried the band
    (tmp_path / "else").mkdir()
    other = network_input(tmp_path / "else", unfiltered, 400, archive, monkeypatch)[EVENT.ns]
    assert np.abs(other - prepared).max() > np.abs(prepared).max()


def test_demo_says_what_its_records_are(tmp_path):
    steps = Store(prepare_demo(tmp_path / "demo", 1, 0)).preprocessing
    assert steps == Preprocessing(sampling_rate=250.0, length=8.0, unit="counts")


@pytest.mark.parametrize(
    ("said", "words"),
    [("{", "a JSON"), ('{"bandpass": [5, 2]}', "bandpass"), ('["a"]', "not a mapping"), ('{"detrend": 3}', "detrend")],
)
def test_a_tremor_file_that_says_nonsense_is_refused(tmp_path, said, words):
    from seisml.errors import UserError

    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["X"], file["y"] = np.zeros((2, 100), np.float32), np.array([0, 1])
        file.attrs["sampling_rate"], file.attrs["preprocessing"] = 20.0, said
    with pytest.raises(UserError, match=words) as caught:
        TremorFile(tmp_path / "t.h5")
    assert "t.h5" in str(caught.value) and "\n" not in str(caught.value)
