"""Files -> records: what ObsPy reads, and every reason why a file is left out."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import obspy
import pytest
from obspy import Stream, Trace, UTCDateTime

from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable, detrend
from seisml.waveforms.record import read_record

START = UTCDateTime("2020-05-01T12:00:00")


def trace(code="XX.STA..HHZ", n=500, rate=100.0, start=0.0, seed=0, data=None):
    network, station, location, channel = code.split(".")
    data = np.random.default_rng(seed).integers(-1000, 1000, n).astype(np.int32) if data is None else data
    header = {"network": network, "station": station, "location": location, "channel": channel}
    return Trace(data, {**header, "sampling_rate": rate, "starttime": START + start})


def save(path, *traces, format="MSEED"):
    Stream(list(traces)).write(str(path), format=format)
    return path


def components(**changes):
    return [trace(f"XX.STA..HH{c}", seed=i, **changes) for i, c in enumerate("ENZ")]


@pytest.mark.parametrize("format", ["MSEED", "SAC", "GSE2", "SLIST", "SEGY"])
def test_formats(tmp_path, format):
    data = (
        np.random.default_rng(0)
        .integers(-1000, 1000, 500)
        .astype(np.float32 if format in ("SAC", "SEGY") else np.int32)
    )
    path = save(tmp_path / "a[1]*?.dat", trace(data=data), format=format)  # a name that is also a pattern
    record = read_record(path)
    np.testing.assert_array_equal(record.waveform, data[None].astype(np.float32))
    assert record.metadata["trace_sampling_rate_hz"] == 100.0
    if format != "SEGY":
        assert record.metadata["trace_start_time"] == "2020-05-01T12:00:00.000000Z"
        assert record.metadata["station_code"] == "STA"


def test_three_components(tmp_path):
    path = save(tmp_path / "a.mseed", *components())
    record = read_record(path)
    assert record.metadata["trace_component_order"] == "ENZ"
    assert record.metadata["trace_channels"] == "XX.STA..HHE;XX.STA..HHN;XX.STA..HHZ"
    chosen = read_record(path, Preprocessing(components="ZN"))
    assert chosen.metadata["trace_component_order"] == "ZN"
    np.testing.assert_array_equal(chosen.waveform, record.waveform[[2, 1]])
    with pytest.raises(Unusable, match=r"missing component 1, 2 \(has ENZ\)"):
        read_record(path, Preprocessing(components="Z12"))


def test_components_of_many_stations(tmp_path):
    whole = [
        trace(f"XX.{s}..HH{c}", seed=i) for i, (s, c) in enumerate([("A", "Z"), ("B", "E"), ("B", "Z"), ("A", "E")])
    ]
    path = save(tmp_path / "a.mseed", *whole, trace("XX.C..HHZ", seed=9))
    record = read_record(path, Preprocessing(components="ZE"))
    assert record.metadata["trace_channels"] == "XX.A..HHZ;XX.A..HHE;XX.B..HHZ;XX.B..HHE"
    assert record.metadata["trace_component_order"] == "ABCD"
    assert record.metadata["station_code"] == ""
    assert record.metadata["station_network_code"] == "XX"


def test_seg2_of_the_real_event(shared_data):
    path = next((shared_data / "aknes").glob("*.dat"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = read_record(path)
    assert not caught
    assert not record.notes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = obspy.read(str(path))
    np.testing.assert_array_equal(record.waveform, np.stack([t.data for t in stream]).astype(np.float32))
    assert record.waveform.shape == (24, 16000)
    assert record.metadata["trace_component_order"] == "ABCDEFGHIJKLMNOPQRSTUVWX"
    assert record.metadata["trace_channels"] == ";" * 23
    assert record.metadata["station_code"] == ""
    assert record.metadata["trace_start_time"] == "2007-02-03T06:22:35.000000Z"


@pytest.mark.parametrize("cut", [8, 4000, 70_000, 1_500_000, 1_552_000])
def test_truncated_seg2(tmp_path, shared_data, cut):
    data = next((shared_data / "aknes").glob("*.dat")).read_bytes()
    (tmp_path / "a.dat").write_bytes(data[:-cut])  # ObsPy takes the first two for a shorter last trace
    with pytest.raises(Unusable, match="^truncated SEG-2 file$"):
        read_record(tmp_path / "a.dat")


def test_gaps(tmp_path):
    path = save(tmp_path / "a.mseed", trace(n=100), trace(n=100, start=1.0, seed=1), trace(n=100, start=2.5, seed=2))
    with pytest.raises(Unusable, match=r"gap of 50 samples \(0.5 s\) in XX.STA..HHZ"):
        read_record(path)
    record = read_record(path, Preprocessing(gaps="zero"))
    assert record.waveform.shape == (1, 350)
    assert record.notes == ["gaps filled"]
    assert (record.waveform[0, 200:250] == 0).all()


def test_same_id_twice(tmp_path):
    """Sensors that share an id are traces of their own; copies of one trace are not."""
    path = save(tmp_path / "a.mseed", trace(seed=1), trace(seed=2), trace(seed=1))
    assert read_record(path).waveform.shape == (2, 500)


def test_unequal_traces(tmp_path):
    path = save(tmp_path / "a.mseed", trace("XX.A..HHZ", n=500), trace("XX.B..HHZ", n=300, start=1.0, seed=1))
    record = read_record(path)
    assert record.waveform.shape == (2, 300)
    assert "trimmed to their common window" in record.notes[0]
    assert record.metadata["trace_start_time"] == "2020-05-01T12:00:01.000000Z"
    np.testing.assert_array_equal(record.waveform[0], trace().data[100:400])
    padded = read_record(path, Preprocessing(length=4.5))
    assert padded.waveform.shape == (2, 450)
    assert padded.padded == pytest.approx(1.5)
    assert (padded.waveform[1, 300:] == 0).all()
    assert (padded.waveform[0, 400:] == 0).all()
    assert read_record(path, Preprocessing(length=1.0)).waveform.shape == (2, 100)
    apart = save(tmp_path / "b.mseed", trace("XX.A..HHZ"), trace("XX.B..HHZ", start=60.0))
    with pytest.raises(Unusable, match="do not overlap in time"):
        read_record(apart)


def test_mixed_rates(tmp_path):
    path = save(tmp_path / "a.mseed", trace("XX.A..HHZ"), trace("XX.B..HHZ", n=1000, rate=200.0, seed=1))
    with pytest.raises(Unusable, match=r"mixed sampling rates \(100, 200 Hz\); --sampling-rate"):
        read_record(path)
    record = read_record(path, Preprocessing(sampling_rate=50.0))
    assert record.waveform.shape == (2, 250)
    assert record.metadata["trace_sampling_rate_hz"] == 50.0
    changing = save(tmp_path / "b.mseed", trace(), trace(rate=200.0, start=5.0))
    with pytest.raises(Unusable, match="changes within the record"):
        read_record(changing, Preprocessing(sampling_rate=50.0))


def test_processing_options(tmp_path):
    t = np.arange(2000) / 100
    data = (1e6 + 100 * t + 50 * np.sin(2 * np.pi * 5 * t)).astype(np.float32)
    path = save(tmp_path / "a.mseed", trace(data=data))
    assert abs(read_record(path, Preprocessing(detrend="constant")).waveform.mean()) < 0.1
    assert np.abs(read_record(path, Preprocessing(detrend="linear")).waveform).max() < 60
    band = read_record(path, Preprocessing(sampling_rate=50.0, detrend="linear", bandpass=(2, 10), length=10.0))
    assert band.waveform.shape == (1, 500)
    expected = detrend(50 * np.sin(2 * np.pi * 5 * np.arange(500) / 50), "linear")  # last, from the window
    np.testing.assert_allclose(band.waveform[0, 100:400], expected[100:400], atol=0.5)
    with pytest.raises(Unusable, match="needs more than 100 Hz, this has 100 Hz"):
        read_record(path, Preprocessing(bandpass=(2, 50)))


def test_dead_traces(tmp_path):
    dead = trace("XX.B..HHZ", data=np.full(500, 7, np.int32))
    record = read_record(save(tmp_path / "a.mseed", trace("XX.A..HHZ"), dead))
    assert record.n_dead == 1
    assert (record.waveform[1] == 7).all()
    filtered = read_record(tmp_path / "a.mseed", Preprocessing(bandpass=(1, 10)))
    assert (filtered.waveform[1] == 0).all()
    assert read_record(save(tmp_path / "b.mseed", dead)).n_dead == 1  # whether to store it, prepare decides


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_samples(tmp_path, bad):
    data = np.ones(500, np.float32)
    data[10] = bad
    with pytest.raises(Unusable, match="NaN or infinite samples in trace 2 of 2"):
        read_record(save(tmp_path / "a.mseed", trace("XX.A..HHZ"), trace("XX.B..HHZ", data=data)))


def test_damaged_files(tmp_path, shared_data):
    (tmp_path / "empty.mseed").touch()
    (tmp_path / "notes.txt").write_text("field notes\n" * 20)
    whole = save(tmp_path / "whole.mseed", *components(n=5000)).read_bytes()
    (tmp_path / "cut.mseed").write_bytes(whole[:-100])
    (tmp_path / "short.mseed").write_bytes(whole[:60])
    sac = save(tmp_path / "a.sac", trace(), format="SAC").read_bytes()
    (tmp_path / "cut.sac").write_bytes(sac[:-10])
    (tmp_path / "headless.dat").write_bytes(b"\x55\x3a" + bytes(100))
    reasons = {
        "empty.mseed": "^empty file$",
        "notes.txt": "not a waveform format",
        "cut.mseed": "truncated miniSEED",
        "short.mseed": "damaged",
        "cut.sac": "damaged .*file size",
        "headless.dat": "SEG-2",
        "gone.mseed": "cannot be opened",
    }
    for name, reason in reasons.items():
        with pytest.raises(Unusable, match=reason) as caught:
            read_record(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_pickles_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    path = tmp_path / "stream.mseed"
    path.write_bytes(pickle.dumps(["obspy.core.stream", Evil()]))
    with pytest.raises(Unusable, match="could run code"):
        read_record(path)
    assert not (tmp_path / "ran").exists()


def test_text_channels_are_passed_over(tmp_path):
    log = trace("XX.STA..LOG", data=np.frombuffer(b"state of health " * 4, dtype="S1"), rate=1.0)
    log.stats.mseed = {"encoding": "ASCII"}
    record = read_record(save(tmp_path / "a.mseed", trace(), log))
    assert record.metadata["trace_channels"] == "XX.STA..HHZ"
    with pytest.raises(Unusable, match="no samples"):
        read_record(save(tmp_path / "b.mseed", log))
