from __future__ import annotations

import h5py
import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.geodetics import gps2dist_azimuth

from seisml.cli import main
from seisml.datasets.tremor.file import TremorFile

DAY = UTCDateTime(2012, 4, 11)
RATE = 40.0
STATIONS = {"AAA": (10.0, 20.0), "BBB": (10.0, 21.0)}
EPICENTRE = (10.0, 24.0)


def tone(n, frequency, amplitude=100.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(n) / RATE)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two hours of the day of an earthquake (3 Hz and 10 Hz tones), two of the quiet day after, at two stations."""
    root = tmp_path_factory.mktemp("tremor")
    n = int(7200 * RATE)
    for code in STATIONS:
        for day in (0, 1):
            generator = np.random.default_rng(day)
            for part in range(2):  # hourly files
                data = tone(n, 3.0) + tone(n, 10.0, 500.0) + 1000 + generator.standard_normal(n)
                half = slice(part * n // 2, (part + 1) * n // 2)
                header = {"network": "XX", "station": code, "channel": "BHZ", "sampling_rate": RATE}
                header["starttime"] = DAY + 86400 * day + 3600 * (8 + part)
                trace = Trace(data[half].astype(np.float32), header)
                Stream([trace]).write(str(root / f"{code}.{day}.{part}.mseed"), "MSEED")
    (root / "events.csv").write_text(
        "time,latitude,longitude,depth,mag,id\n"
        f"{DAY + 8 * 3600 + 1800},{EPICENTRE[0]},{EPICENTRE[1]},10,8.6,big\n"
        f"{DAY + 9 * 3600 + 3300},{EPICENTRE[0]},{EPICENTRE[1]},10,8.2,late\n"
        f"{DAY + 86400 + 8 * 3600},{EPICENTRE[0]},{EPICENTRE[1]},10,5.0,small\n"
    )
    lines = [f"XX,{code},{latitude},{longitude}" for code, (latitude, longitude) in STATIONS.items()]
    (root / "stations.csv").write_text("\n".join(["network,station,latitude,longitude", *lines]))
    return root


def prepare(root, out, *more):
    options = ["--events", f"{root}/events.csv", "--stations", f"{root}/stations.csv", "--out", str(out)]
    return main(["prepare", "tremor", str(root), *options, "--min-magnitude", "7", *more])


def test_windows_start_a_quarter_second_per_kilometre_after_origin(recordings, tmp_path, capsys):
    assert prepare(recordings, tmp_path / "t.h5", "--negatives", "2") == 0
    with h5py.File(tmp_path / "t.h5") as file:
        data, labels = file["X"][:], file["y"][:]
        sources, starts = [v.decode() for v in file["source"]], [v.decode() for v in file["start_time"]]
        assert file.attrs["sampling_rate"] == 20.0
    assert data.shape == (6, 20_000) and labels.tolist().count(1) == 2
    for source, start, label in zip(sources, starts, labels, strict=True):
        if label:
            event, station = source.split("_")
            distance = gps2dist_azimuth(*EPICENTRE, *STATIONS["AB"[int(station)] * 3])[0] / 1000
            assert event == "big"
            assert UTCDateTime(start) - (DAY + 8 * 3600 + 1800) == pytest.approx(distance / 4, abs=1e-3)
        else:
            assert source.startswith("quiet2012103_") and UTCDateTime(start).julday == 103
    # what the band-pass keeps: the 3 Hz tone of amplitude 100, not the one of 10 Hz nor the offset
    spectrum = np.abs(np.fft.rfft(data[:, 2000:18000])) / 8000
    assert spectrum[:, 3 * 800].min() == pytest.approx(100, rel=0.03)
    assert spectrum[:, 0].max() < 1 and data.std(axis=1).max() == pytest.approx(100 / np.sqrt(2), rel=0.03)
    printed = capsys.readouterr().out
    assert "late XX.BBB..BHZ" in printed and "only a part" in printed


def test_phase_is_kept(recordings, tmp_path):
    assert prepare(recordings, tmp_path / "t.h5") == 0
    with h5py.File(tmp_path / "t.h5") as file:
        for samples, start in zip(file["X"], file["start_time"], strict=True):
            late = (UTCDateTime(start.decode()) - DAY) % 3600  # the tone is in phase with the hour
            times = late + np.arange(20_000) / 20
            expected = 100 * np.sin(2 * np.pi * 3.0 * times)
            # the nearest sample of 40 Hz may be 1/80 s away
            assert np.corrcoef(samples, expected)[0, 1] > np.cos(2 * np.pi * 3 / 80) - 0.01


def test_labels_of_a_person_and_the_hundred_hertz_option(recordings, tmp_path):
    table = (recordings / "events.csv").read_text().splitlines()
    marked = [table[0] + ",tremor", table[1] + ",0", table[2] + ",1", table[3] + ","]
    (tmp_path / "marked.csv").write_text("\n".join(marked))
    options = ["--events", str(tmp_path / "marked.csv"), "--sampling-rate", "100", "--length", "100"]
    assert prepare(recordings, tmp_path / "t.h5", *options) == 0
    with h5py.File(tmp_path / "t.h5") as file:
        labels = {source.decode()[:3]: label for source, label in zip(file["source"], file["y"], strict=True)}
        assert file["X"].shape[1] == 10_000
    assert labels == {"big": 0, "lat": 1, "qui": 0}


def test_second_run_is_a_no_op_and_other_options_need_overwrite(recordings, tmp_path, capsys):
    out = tmp_path / "t.h5"
    assert prepare(recordings, out) == 0
    before = out.stat().st_mtime_ns
    assert prepare(recordings, out) == 0 and out.stat().st_mtime_ns == before
    assert "up to date" in capsys.readouterr().out
    assert prepare(recordings, out, "--seed", "1") == 2
    assert "--overwrite" in capsys.readouterr().err and out.stat().st_mtime_ns == before
    assert prepare(recordings, out, "--seed", "1", "--overwrite") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


def test_the_data_module_reads_the_file(recordings, tmp_path):
    assert prepare(recordings, tmp_path / "t.h5", "--negatives", "2") == 0
    store = TremorFile(tmp_path / "t.h5")
    assert sorted(store.metadata["source_id"].unique()) == ["big", "quiet2012103"]
    assert store.metadata["trace_category"].value_counts().to_dict() == {"none": 4, "tremor": 2}
    assert store.read_records([0, 5])[0].shape == (2, 1, 20_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--bandpass", "2", "12"], "--bandpass 2 12"),
        (["--stations", "nowhere.csv"], "nowhere.csv: no such"),
        (["--min-magnitude", "9"], "no window to store"),
    ],
)
def test_bad_input_is_one_line(recordings, tmp_path, capsys, change, message):
    assert prepare(recordings, tmp_path / "t.h5", *change) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_foreign_file_is_not_replaced(recordings, tmp_path, capsys):
    (tmp_path / "t.h5").write_text("mine")
    assert prepare(recordings, tmp_path / "t.h5", "--overwrite") == 2
    assert (tmp_path / "t.h5").read_text() == "mine" and "was not made by" in capsys.readouterr().err
