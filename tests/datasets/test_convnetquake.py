from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.geodetics import gps2dist_azimuth

from seisml.cli import main
from seisml.datasets.convnetquake.data_module import ConvNetQuakeDataModule, ordered_classes
from seisml.errors import UserError
from seisml.store.store import Store
from seisml.store.writer import StoreWriter

START = UTCDateTime(2014, 3, 1, 23, 0, 0)
STATION = (36.0, -97.0)
PLACES = {"a": (36.2, -97.4), "b": (36.1, -96.5)}
RATE = 50.0
HOURS = 2


def origins():
    """Eleven events every ten minutes; the one at 60 minutes begins an hour, which begins a file."""
    return [(START + 60 * minute, "ab"[number % 2]) for number, minute in enumerate(range(5, 115, 10))]


def arrival(time, place):
    return time + gps2dist_azimuth(*PLACES[place], *STATION)[0] / 1000 / 5


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two hourly files over midnight at 50 Hz: quiet noise, an offset, and a burst from each arrival on."""
    root = tmp_path_factory.mktemp("quake")
    generator = np.random.default_rng(0)
    n = int(HOURS * 3600 * RATE)
    seconds = np.arange(n) / RATE
    (root / "waves").mkdir()
    burst = np.zeros(n)
    for time, place in origins():
        late = seconds - (arrival(time, place) - START)
        burst += np.where(late >= 0, np.exp(-np.clip(late, 0, None) / 5) * np.sin(2 * np.pi * 5 * late), 0)
    for number, component in enumerate("ZNE"):
        data = 300 + 10 * number + generator.standard_normal(n) + 50 * (number + 1) * burst
        for hour in range(HOURS):
            part = slice(int(hour * 3600 * RATE), int((hour + 1) * 3600 * RATE))
            header = {"network": "XX", "station": "STA", "channel": f"HH{component}", "sampling_rate": RATE}
            trace = Trace(data[part].astype(np.float32), {**header, "starttime": START + 3600 * hour})
            Stream([trace]).write(str(root / "waves" / f"{component}.{hour}.mseed"), "MSEED")
    rows = [
        f"{time},{PLACES[place][0]},{PLACES[place][1]},{place}{number}"
        for number, (time, place) in enumerate(origins())
    ]
    (root / "catalog.csv").write_text("\n".join(["time,latitude,longitude,id", *rows]))
    (root / "stations.csv").write_text(f"network,station,latitude,longitude\nXX,STA,{STATION[0]},{STATION[1]}")
    return root


def prepare(root, out, *more):
    places = [str(root / "waves"), str(root / "catalog.csv"), "--stations", str(root / "stations.csv")]
    return main(["prepare", "convnetquake", *places, "--out", str(out), "--clusters", "2", "--workers", "1", *more])


def test_windows_of_continuous_data(recordings, tmp_path, capsys):
    assert prepare(recordings, tmp_path / "store") == 0
    store = Store(tmp_path / "store")
    table = store.metadata
    waveform, mask = store.read_records(np.arange(len(store)))
    assert waveform.shape[1:] == (3, 1000) and mask.all()
    is_event = (table["trace_category"] != "noise").to_numpy()
    assert is_event.sum() == 11 and (~is_event).sum() == 22
    # clusters from west to east: a is the western one
    assert set(zip(table.loc[is_event, "source_id"].str[0], table.loc[is_event, "trace_category"], strict=True)) == {
        ("a", "cluster_1"),
        ("b", "cluster_2"),
    }
    times = {f"{place}{number}": arrival(time, place) for number, (time, place) in enumerate(origins())}
    for row in table[is_event].itertuples():
        late = times[row.source_id] - UTCDateTime(row.trace_start_time)
        assert -0.001 <= late <= 2.001 and row.trace_estimated_arrival_sample == pytest.approx(100 * late, abs=0.1)
        assert row.path_ep_distance_km == pytest.approx((times[row.source_id] - row_origin(row)) * 5, abs=0.01)
        # the burst begins there, three times as strong on E as on Z; nothing before it
        onset = round(row.trace_estimated_arrival_sample)
        samples = waveform[row.Index]
        assert np.abs(samples[:, onset + 5 : onset + 60]).max() > 25
        peak = np.abs(samples[:, onset:]).max(axis=1)
        assert peak[2] / peak[0] == pytest.approx(3, rel=0.3)
        assert onset < 20 or np.abs(samples[0, : onset - 10]).max() < 12
    quiet = waveform[~is_event]
    assert np.abs(quiet).max() < 12 and np.abs(quiet.mean(-1)).max() < 1  # the offset is gone
    for row in table[~is_event].itertuples():
        assert all(not time - 2 - 10 < UTCDateTime(row.trace_start_time) < times[name] + 60
                   for name, time in ((f"{p}{k}", t) for k, (t, p) in enumerate(origins())))  # fmt: skip
        assert row.source_id.startswith("noise2014")
    assert (tmp_path / "store" / "clusters.png").stat().st_size > 10_000
    assert "cluster_1" in capsys.readouterr().out


def row_origin(row):
    return UTCDateTime(row.source_origin_time)


def test_window_across_two_files(recordings, tmp_path):
    origin = START + 3600 - 12.0  # 45 km at 5 km/s: the window crosses the hour
    (tmp_path / "catalog.csv").write_text(
        f"time,latitude,longitude,id\n{origin - 100},36.1,-96.5,x\n{origin},{PLACES['a'][0]},{PLACES['a'][1]},y\n"
    )
    places = [str(recordings / "waves"), str(tmp_path / "catalog.csv"), "--stations", str(recordings / "stations.csv")]
    options = ["--clusters", "2", "--lead", "2", "2", "--workers", "1", "--out", str(tmp_path / "store")]
    assert main(["prepare", "convnetquake", *places, *options]) == 0
    table = Store(tmp_path / "store").metadata
    start = UTCDateTime(table.loc[table["source_id"] == "y", "trace_start_time"].iloc[0])
    assert start < START + 3600 < start + 10


def test_second_run_is_a_no_op_that_mends_the_map(recordings, tmp_path, capsys):
    out = tmp_path / "store"
    assert prepare(recordings, out) == 0
    (out / "clusters.png").unlink()
    before = (out / "waveforms.hdf5").stat().st_mtime_ns
    assert prepare(recordings, out) == 0
    assert "up to date" in capsys.readouterr().out and (out / "clusters.png").is_file()
    assert prepare(recordings, out, "--seed", "3") == 2
    assert (out / "waveforms.hdf5").stat().st_mtime_ns == before
    assert prepare(recordings, out, "--seed", "3", "--overwrite") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--clusters", "5"], "--clusters 5: there are 2 epicentres"),
        (["--picks-only"], "no event of the catalogue lies in the waveforms"),
        (["--lead", "3", "1"], "--lead 3 1"),
        (["--components", "ZZ"], "--components ZZ"),
        (["--components", "Z12"], None),
        (["--stations", "nowhere"], "nowhere: no such"),
        (["--bandpass", "1", "60"], "--bandpass 1 60"),
    ],
)
def test_bad_input_is_one_line(recordings, tmp_path, capsys, change, message):
    code = prepare(recordings, tmp_path / "store", *change)
    error = capsys.readouterr().err
    if message is None:
        return
    assert code == 2 and message in error and len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_data_module_puts_noise_first_and_balances(recordings, tmp_path):
    assert prepare(recordings, tmp_path / "store") == 0
    data = ConvNetQuakeDataModule(str(tmp_path / "store"), batch_size=8)
    data.setup()
    assert data.facts.classes == ("noise", "cluster_1", "cluster_2") and data.facts.n_samples == 1000
    batch = next(iter(data.train_dataloader()))
    assert batch["waveform"].shape == (8, 3, 1000) and int((batch["label"] == 0).sum()) == 4
    last = ConvNetQuakeDataModule(str(tmp_path / "store"), batch_size=8, split_by="time")
    last.setup()
    times = pd.to_datetime(last.ready_store.metadata["trace_start_time"])
    events = last.ready_store.metadata["trace_category"] != "noise"
    train, test = (times[part][events[part]] for part in (last.split.train, last.split.test))
    assert train.max() < test.min()


def test_classes_in_order():
    names = {"cluster_10", "noise", "cluster_2", "cluster_1"}
    assert ordered_classes(names) == ("noise", "cluster_1", "cluster_2", "cluster_10")


def test_store_without_noise(tmp_path):
    with StoreWriter(tmp_path / "s", {}) as writer:
        for k in range(8):
            writer.add(
                np.ones((3, 10)), {"trace_category": "ab"[k % 2], "trace_sampling_rate_hz": 1.0, "source_id": str(k)}
            )
    with pytest.raises(UserError, match="noise_class"):
        ConvNetQuakeDataModule(str(tmp_path / "s")).setup()


def test_alpine_fault(shared_data, tmp_path):
    source = shared_data / "nz_2013"
    places = [str(source), str(source / "REA"), "--stations", str(source / "STATION0.HYP")]
    options = ["--clusters", "2", "--picks-only", "--noise-ratio", "4", "--workers", "1", "--out", str(tmp_path / "nz")]
    assert main(["prepare", "convnetquake", *places, *options]) == 0
    table = Store(tmp_path / "nz").metadata
    events = table[table["trace_category"] != "noise"]
    assert len(events) == 196 and events["source_id"].nunique() == 39  # 224 picked records less those shown twice
    assert events["trace_p_arrival_sample"].between(0, 200).all()
    noise = table[table["trace_category"] == "noise"]
    assert set(noise["source_id"]) <= set(events["source_id"])
    picks = events.assign(pick=pd.to_datetime(events["trace_start_time"])
                          + pd.to_timedelta(events["trace_p_arrival_sample"] / 100, unit="s"))  # fmt: skip
    first = picks.groupby(["source_id", "station_code"])["pick"].min()
    ends = pd.to_datetime(noise["trace_start_time"]) + pd.Timedelta(seconds=10)
    own = first.reindex(pd.MultiIndex.from_frame(noise[["source_id", "station_code"]])).to_numpy()
    assert (ends.to_numpy() <= own - pd.Timedelta(seconds=1.9)).all()
    prepared = json.loads((tmp_path / "nz" / "prepare.json").read_text())
    assert any("no P pick" in entry["reason"] for entry in prepared["skipped"])
    data = ConvNetQuakeDataModule(str(tmp_path / "nz"))
    data.setup()
    sources = data.ready_store.metadata["source_id"]
    assert not set(sources[data.split.train]) & set(sources[data.split.test])
