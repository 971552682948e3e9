from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from seisml.waveforms.index import Instrument, Segment, read_segments
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable
from seisml.waveforms.window_reader import WindowReader

START = UTCDateTime(2020, 1, 1)
RATE = 50.0
STEPS = Preprocessing(sampling_rate=RATE, length=10.0, detrend="constant")
OWN = Instrument("XX", "A", "", "HH")


def write(path, data, start=START, rate=RATE, component="Z"):
    header = {"network": "XX", "station": "A", "channel": f"HH{component}", "sampling_rate": rate, "starttime": start}
    Stream([Trace(np.asarray(data), header)]).write(str(path), "MSEED")
    return read_segments(path)


def ramp(n, first=0):
    """A tone whose phase tells the sample."""
    return np.sin(2 * np.pi * 4.0 * (np.arange(n) + first) / RATE) * 1000


def test_window_joins_files_and_starts_where_asked(tmp_path):
    segments = write(tmp_path / "a", ramp(1000)) + write(tmp_path / "b", ramp(1000, 1000), START + 20)
    window = WindowReader(segments, STEPS).read(OWN, "Z", (START + 15).ns)
    assert window.shape == (500,) and window.dtype == np.float32
    np.testing.assert_allclose(window, ramp(500, 750), atol=20)  # the trend of whole periods is small


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_resampled_window_keeps_time(tmp_path, rate):
    segments = write(tmp_path / "a", ramp(3000))
    window = WindowReader(segments, replace(STEPS, sampling_rate=rate)).read(OWN, "Z", (START + 21).ns)
    expected = np.sin(2 * np.pi * 4.0 * (21 + np.arange(round(10 * rate)) / rate)) * 1000
    np.testing.assert_allclose(window, expected, atol=20)


def test_one_file_alone_where_two_show_the_same_time(tmp_path):
    segments = write(tmp_path / "a", ramp(1000)) + write(tmp_path / "b", 5 * ramp(900, 50), START + 1)
    window = WindowReader(segments, STEPS).read(OWN, "Z", (START + 4).ns)
    assert np.abs(window).max() == pytest.approx(1000, rel=0.1)


def test_reasons(tmp_path):
    gap = write(tmp_path / "a", ramp(500)) + write(tmp_path / "b", ramp(500), START + 11)
    flat = write(tmp_path / "c", np.ones(1000), component="N")
    nan = write(tmp_path / "d", np.where(np.arange(1000) == 700, np.nan, ramp(1000)), component="E")
    faster = write(tmp_path / "e", ramp(500), component="1") + write(tmp_path / "f", ramp(1000), START + 10, 100, "1")
    (tmp_path / "g").write_bytes(b"damaged")
    damaged = [Segment(tmp_path / "g", OWN, "2", START.ns, (START + 20).ns, RATE)]
    reader = WindowReader([*gap, *flat, *nan, *faster, *damaged], STEPS)
    for component, start, reason in [
        ("Z", 5, "gap of 50 samples"),
        ("Z", 100, "no data of XX.A..HHZ"),
        ("Z", 16, "lacks 5 s of 10 s"),
        ("N", 5, "is flat"),
        ("E", 8, "not numbers"),
        ("1", 5, "sampling rate"),
        ("2", 5, "g cannot be read"),
    ]:
        with pytest.raises(Unusable, match=reason):
            reader.read(OWN, component, (START + start).ns)
