"""The guarded reader: nothing that a file says is run or opened, and what it promises must be believable."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import obspy
import pytest

from seisml.waveforms.index import read_segments
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import Unusable
from seisml.waveforms.read import FORMATS, read_headers, read_waveforms
from seisml.waveforms.record import read_record
from seisml.waveforms.sac_header import sac_rate
from seisml.waveforms.traces import Bounds
from seisml.waveforms.window_reader import WindowReader
from tests.waveforms.test_record import START, save, trace


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_hidden_in_a_miniseed_file_is_not_run(tmp_path):
    path, hit = save(tmp_path / "a.mseed", trace(n=2000)), tmp_path / "hit"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a", b"obspy.core.stream" + pickle.dumps(Bomb(hit)))
        packed.writestr("b", pickle.dumps(Bomb(hit)))
    path.write_bytes(path.read_bytes() + archive.getvalue())
    segments = read_segments(path)
    assert not isinstance(segments, str)
    WindowReader(segments, Preprocessing(sampling_rate=100.0, length=5.0)).read(
        segments[0].instrument, "Z", (START + 5).ns
    )
    read_waveforms(path, ((START + 1).ns, (START + 2).ns))
    assert not hit.exists()


def test_no_pickle_is_loaded_not_even_to_see_what_it_is(tmp_path):
    hit = tmp_path / "hit"
    for number, head in enumerate((b"", b"obspy.core.stream", b" " * 200)):
        path = tmp_path / f"{number}.dat"
        path.write_bytes(head + pickle.dumps(Bomb(hit), protocol=0))
        for read in (read_headers, read_waveforms):
            with pytest.raises(Unusable):
                read(path)
    assert not hit.exists() and "PICKLE" not in FORMATS


def test_an_archive_is_not_unpacked(tmp_path):
    save(tmp_path / "a.mseed", trace())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(tmp_path / "a.mseed")
    with pytest.raises(Unusable, match="not a waveform format"):
        read_waveforms(tmp_path / "a.zip")


def test_a_table_may_not_name_files_elsewhere(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.w").write_bytes(np.arange(40, dtype=">i4").tobytes())
    line = bytearray(b" " * 283)
    fields = ((0, b"STA"), (7, b"BHZ"), (16, b"1588334400.00000"), (61, b"1588334401.00000"), (79, b"40"),
              (88, b"40.0"), (100, b"1.0"), (117, b"1.0"), (143, b"s4"), (148, b".."), (213, b"secret.w"),
              (246, b"0"))  # fmt: skip
    for place, text in fields:
        line[place : place + len(text)] = text
    table = tmp_path / "in" / "a.wfdisc"
    table.write_bytes(bytes(line) + b"\n")
    for read in (read_headers, read_waveforms):
        with pytest.raises(Unusable, match="outside its folder"):
            read(table)
    line[148:150] = b". "
    table.write_bytes(bytes(line) + b"\n")
    (tmp_path / "secret.w").rename(tmp_path / "in" / "secret.w")
    assert read_waveforms(table).traces[0].samples.tolist() == list(range(40))


@pytest.mark.parametrize("format", ["SLIST", "TSPAIR"])
def test_text_formats_whose_header_names_a_quality(tmp_path, format):
    own = trace()
    own.stats.mseed = {"dataquality": "D"}
    path = save(tmp_path / "a.txt", own, format=format)
    assert b"_D," in path.read_bytes()
    assert read_record(path).waveform.shape == (1, 500)


def sac(path, **fields):
    """A SAC file, with words of its header overwritten: delta 0, b 5."""
    save(path, trace(data=np.random.default_rng(0).normal(size=500).astype(np.float32)), format="SAC")
    content = bytearray(path.read_bytes())
    for name, value in fields.items():
        struct.pack_into("<f", content, {"delta": 0, "b": 20}[name], value)
    path.write_bytes(content)
    return path


def gse2(path, old, new):
    save(path, trace(), format="GSE2")
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))
    return path


def test_absurd_headers(tmp_path):
    files = {
        "rate of 1e-05 Hz": sac(tmp_path / "slow.sac", delta=1e5),
        "rate of 1e-30 Hz": sac(tmp_path / "slowest.sac", delta=1e30),
        "rate of 1000000000 Hz in XX.STA..HHZ is not believable": sac(tmp_path / "fast.sac", delta=1e-9),
        "the sampling rate of XX.STA..HHZ is not believable": sac(tmp_path / "none.sac", delta=np.inf),
        "times|damaged or not": sac(tmp_path / "late.sac", b=1e30),
        "rate of inf Hz": gse2(tmp_path / "inf.gse2", b" 100.000000", b"        inf"),
        "rate of 1000000000 Hz in": gse2(tmp_path / "fast.gse2", b" 100.000000", b"        1e9"),
        "promises 99999999 samples": gse2(tmp_path / "long.gse2", b"      500", b" 99999999"),
    }
    for reason, path in files.items():
        for read in (read_headers, read_waveforms, read_record):
            with pytest.raises(Unusable, match=reason):
                read(path)


@pytest.mark.parametrize("rate", [1e7, 1.5e6, 3000.0, 100.0, 75.0, 60.0, 0.3, 1 / 0.0133])
def test_rates_of_sac_files_are_those_that_were_written(tmp_path, rate):
    path = sac(tmp_path / "a.sac", delta=1 / rate)
    whole = read_waveforms(path)
    assert read_headers(path)[0].sampling_rate == whole.traces[0].sampling_rate == pytest.approx(rate, rel=1e-12)
    assert not whole.remarks


def test_a_part_of_a_sac_file_is_cut_by_the_rate_that_was_written(tmp_path):
    path = sac(tmp_path / "a.sac", delta=1 / 30_000)
    whole = read_waveforms(path).traces[0]
    span = whole.start + round(400e9 / 30_000), whole.start + round(499e9 / 30_000)
    np.testing.assert_array_equal(read_waveforms(path, span).traces[0].samples, whole.samples[400:])


def test_an_interval_cut_to_single_precision_is_the_plain_one():
    assert sac_rate(float(np.nextafter(np.float32(0.04), np.float32(0)))) == 25.0


def test_a_record_dated_another_year_is_a_gap_too_long_to_fill(tmp_path):
    path = save(tmp_path / "a.mseed", trace(n=50), trace(n=50, start=3e8))
    for rate in (None, 1000.0):
        with pytest.raises(Unusable, match="gap of 3e[+]08 s in XX.STA..HHZ, over the 3600 s of --longest-gap"):
            read_record(path, Preprocessing(gaps="zero", sampling_rate=rate))
    short = save(tmp_path / "b.mseed", trace(n=50), trace(n=50, start=20.0))
    assert read_record(short, Preprocessing(gaps="zero"), Bounds(longest_gap=20.0)).waveform.shape == (1, 2050)
    with pytest.raises(Unusable, match="over the 5 s of --longest-gap"):
        read_record(short, Preprocessing(gaps="zero"), Bounds(longest_gap=5.0))


def test_the_size_of_a_record_is_bounded(tmp_path):
    path = save(tmp_path / "a.mseed", trace(n=5000))
    small = Bounds(largest_record=5001 * 4 / 2**30)
    assert read_record(path, bounds=small).waveform.shape == (1, 5000)
    for options in (Preprocessing(sampling_rate=101.0), Preprocessing(length=60.0)):
        with pytest.raises(Unusable, match="--largest-record would allow more than"):
            read_record(path, options, small)
    less = Bounds(largest_record=4999 * 4 / 2**30)
    with pytest.raises(Unusable, match="--largest-record"):
        read_waveforms(path, bounds=less)
    (part,) = read_waveforms(path, ((START + 1).ns, (START + 2).ns), less).traces
    assert part.n_samples == 101
    far_apart = save(tmp_path / "b.mseed", trace(n=50), trace(n=50, start=50.0))
    with pytest.raises(Unusable, match="--largest-record"):
        read_record(far_apart, Preprocessing(gaps="zero"), less)


def test_amplitudes_that_no_sensor_has(tmp_path):
    data = np.ones(500, dtype=np.float32)
    for value in (1e22, -3e30):
        data[7] = value
        with pytest.raises(Unusable, match="is not believable"):
            read_waveforms(save(tmp_path / "a.sac", trace(data=data), format="SAC"))
    data[7] = 9e21
    assert read_waveforms(save(tmp_path / "a.sac", trace(data=data), format="SAC")).traces[0].n_samples == 500


@pytest.mark.parametrize(
    ("format", "old", "new", "reason"),
    [
        ("SLIST", b" 500 samples", b" 600 samples", "promises 600 samples, the file holds 500"),
        ("TSPAIR", b" 500 samples", b" 400 samples", "promises 400 samples, the file holds 500"),
        ("GSE2", b"\nWID2 ", b"\nWXD2 ", "one of its traces is damaged [(]2 are named, 1 found"),
    ],
)
def test_lost_content_of_text_formats(tmp_path, format, old, new, reason):
    path = save(tmp_path / "a.dat", trace("XX.STA..HHZ"), trace("XX.STA..HHN"), format=format)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(Unusable, match=reason):
        read_record(path)


def test_lost_content_of_miniseed(tmp_path):
    path = tmp_path / "a.mseed"
    obspy.Stream([trace(n=3000)]).write(str(path), format="MSEED", reclen=512)
    whole = bytearray(path.read_bytes())
    n_records = len(whole) // 512
    broken = whole.copy()
    broken[3 * 512 + 6] = ord("?")  # ObsPy leaves the record out
    path.write_bytes(broken)
    assert read_waveforms(path).lost == f"1 of {n_records} miniSEED records are damaged"
    more = whole.copy()
    more[-512 + 30 : -512 + 32] = struct.pack(">H", 999)  # more samples than the frames hold
    path.write_bytes(more)
    with pytest.raises(Unusable, match="only decoded .* samples of 999 expected"):
        read_waveforms(path)
    path.write_bytes(whole[:-100])
    with pytest.raises(Unusable, match="truncated miniSEED"):
        read_record(path)
