import numpy as np
import pytest
from obspy import Stream, UTCDateTime

from seisml.waveforms.continuous import DayReader, GridOptions, flat_samples
from seisml.waveforms.joining import runs
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.process import resample
from seisml.waveforms.samples import FileCache
from seisml.waveforms.streams import index_streams, station_days
from tests.continuous_records import START, make_record, make_stream

FIRST = 13 * 3600 * 20  # grid place of START


def write(folder, name, stream, **kwargs):
    folder.mkdir(parents=True, exist_ok=True)
    stream.write(str(folder / name), format=kwargs.pop("format", "MSEED"), **kwargs)


def read(folder, n, first=FIRST, rate=20.0, cache=None, components="ZNE", keep_offset=False, **steps):
    options = GridOptions(Preprocessing(sampling_rate=rate, **steps), 10.0, keep_offset)
    reach = 20.0 + options.margin()
    (task, *_), _ = station_days(index_streams([folder]), components, reach, longest_gap=options.longest_gap)
    reader = DayReader(task, options, cache)
    waveform, present = reader.read(first, n)
    return waveform, present, {c: list(t.remarks) for c, t in reader.tally.items()}


def without_mean(x):
    return x - x.mean(axis=1, keepdims=True)


def test_the_samples_of_the_file(tmp_path):
    x = make_record(100, {})
    write(tmp_path, "a.mseed", make_stream(x))
    waveform, present, remarks = read(tmp_path, 2000)
    assert present.all() and waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, without_mean(x), atol=1e-3)
    assert remarks == {"Z": [], "N": [], "E": []}
    part, present, _ = read(tmp_path, 600, FIRST + 1700)
    assert present[:, :300].all() and not present[:, 300:].any() and not part[:, 300:].any()


@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0, 12.5])
def test_many_files_read_as_one(tmp_path, rate):
    x = make_record(300, {50.0: "rockfall"}, rate=rate)
    write(tmp_path / "one", "a.mseed", make_stream(x, rate))
    for number in range(5):
        n = round(60 * rate)
        for trace in make_stream(x[:, number * n : (number + 1) * n], rate, START + 60 * number):
            write(tmp_path / "many", f"{trace.stats.channel}{number}.sac", trace, format="SAC")
    for first, n in ((FIRST, 6000), (FIRST + 1111, 2000), (FIRST + 5000, 1000)):
        one, have_one, said = read(tmp_path / "one", n, first)
        many, have_many, _ = read(tmp_path / "many", n, first)
        assert np.array_equal(one, many) and np.array_equal(have_one, have_many) and have_one.all()
        lacking = ", which has nothing above 6.25 Hz" if rate < 20 else ""
        assert said["Z"] == ([] if rate == 20 else [f"resampled from {rate:g} Hz{lacking}"])
    if rate > 20:
        whole, _, _ = read(tmp_path / "one", 6000, keep_offset=True)
        expected = np.stack([resample(trace.astype(float), rate, 20.0) for trace in x])
        np.testing.assert_allclose(whole, expected, atol=1e-2)
        part, _, _ = read(tmp_path / "one", 1000, FIRST + 3000, keep_offset=True)
        np.testing.assert_allclose(part, whole[:, 3000:4000], atol=1e-2)


def test_band_pass_of_a_part_equals_that_of_the_whole(tmp_path):
    write(tmp_path, "a.mseed", make_stream(make_record(300, {}) + 1e4))
    whole, _, _ = read(tmp_path, 6000, bandpass=(1.0, 5.0), keep_offset=True)
    part, _, _ = read(tmp_path, 1000, FIRST + 3000, bandpass=(1.0, 5.0), keep_offset=True)
    np.testing.assert_allclose(part, whole[:, 3000:4000], atol=0.05)


def test_gaps_have_no_samples(tmp_path):
    x = make_record(100, {})
    write(tmp_path, "a.mseed", make_stream(x[:, :800]) + make_stream(x[:, 900:], start=START + 45))
    waveform, present, _ = read(tmp_path, 2000)
    assert not present[:, 800:900].any() and present.sum() == 3 * 1900 and not waveform[:, 800:900].any()


def test_overlaps(tmp_path):
    x = make_record(100, {})
    write(tmp_path, "a.mseed", make_stream(x[:, :1200]))
    write(tmp_path, "b.mseed", make_stream(x[:, 1000:], start=START + 50))
    waveform, present, remarks = read(tmp_path, 2000)
    assert present.all() and remarks["Z"] == []
    np.testing.assert_allclose(waveform, without_mean(x), atol=1e-3)
    write(tmp_path, "b.mseed", make_stream(x[:, 1000:] + 5, start=START + 50))
    waveform, present, remarks = read(tmp_path, 2000, keep_offset=True)
    assert remarks["Z"] == ["overlaps with other samples; the earlier were kept"]
    assert np.array_equal(waveform[0, :1200], x[0, :1200]) and np.array_equal(waveform[0, 1200:], x[0, 1200:] + 5)


def test_flat_and_bad_samples(tmp_path):
    x = make_record(100, {})
    x[0, 300:700] = 7.0  # a dead sensor
    x[1, 300:400] = 7.0  # too short for that
    x[2, 500:510] = np.nan
    write(tmp_path, "a.mseed", make_stream(x))
    _, present, remarks = read(tmp_path, 2000)
    assert np.flatnonzero(~present[0]).tolist() == list(range(300, 700)) and present[1].all()
    assert np.flatnonzero(~present[2]).tolist() == list(range(500, 510))
    assert remarks == {"Z": ["flat parts left out"], "N": [], "E": ["NaN or infinite samples left out"]}
    _, seen_in_part, _ = read(tmp_path, 100, FIRST + 650)  # the flat part began before what is read
    assert not seen_in_part[0, :50].any() and seen_in_part[0, 50:].all()


def test_single_missing_samples_are_interpolated(tmp_path):
    x = make_record(100, {})
    write(tmp_path, "a.mseed", make_stream(x[:, :800]) + make_stream(x[:, 801:], start=START + 40.05))
    waveform, present, remarks = read(tmp_path, 2000, keep_offset=True)
    assert present.all() and remarks["Z"] == ["single missing samples interpolated"]
    np.testing.assert_allclose(waveform[0, 800], (x[0, 799] + x[0, 801]) / 2, rtol=1e-5)


def test_large_files_are_read_in_parts(tmp_path):
    x = make_record(3000, {})
    stream = make_stream(x)
    write(tmp_path, "a.mseed", stream, reclen=512)
    cache = FileCache(limit=100_000)
    part, present, _ = read(tmp_path, 2000, FIRST + 20_000, cache=cache)
    assert present.all() and not cache.files
    whole, _, _ = read(tmp_path, 2000, FIRST + 20_000)
    assert np.array_equal(part, whole)


def test_the_cache_is_bounded(tmp_path):
    x = make_record(300, {})
    for number in range(10):
        write(tmp_path, f"{number}.mseed", make_stream(x[:, number * 600 :][:, :600], start=START + number * 30))
    cache = FileCache(limit=60_000)
    _, present, _ = read(tmp_path, 6000, cache=cache)
    assert present.all() and 0 < cache.held <= 60_000 and len(cache.files) < 10


def test_a_file_that_breaks_is_said_and_the_rest_read(tmp_path):
    x = make_record(100, {})
    write(tmp_path, "a.mseed", make_stream(x[:, :1000]))
    write(tmp_path, "b.mseed", make_stream(x[:, 1000:], start=START + 50))
    (task,), _ = station_days(index_streams([tmp_path]), "ZNE", 30.0)
    (tmp_path / "b.mseed").write_bytes(b"gone")
    reader = DayReader(task, GridOptions(Preprocessing(sampling_rate=20.0), 10.0))
    _, present = reader.read(FIRST, 2000)
    assert present[:, :1000].all() and not present[:, 1000:].any()
    assert "b.mseed cannot be read" in next(iter(reader.tally["Z"].remarks))


def test_starts_between_the_grid(tmp_path):
    x = make_record(100, {})
    stream = Stream([trace for trace in make_stream(x, start=START + 0.02)])  # 0.4 samples late
    stream[1].stats.starttime = UTCDateTime(START + 5.0)
    write(tmp_path, "a.mseed", stream)
    waveform, present, _ = read(tmp_path, 2000, keep_offset=True)
    assert np.array_equal(waveform[0], x[0]) and np.array_equal(waveform[1, 100:], x[1, :1900])
    assert present[0].all() and not present[1, :100].any()


def test_runs_and_flat_samples():
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [(0, 2), (4, 5), (6, 7)] and runs(np.zeros(3, bool)) == []
    x = np.array([1.0, 2, 2, 2, 3, 4, 4, 5, 5, 5])
    have = np.ones(10, bool)
    assert np.flatnonzero(flat_samples(x, have, 3)).tolist() == [1, 2, 3, 7, 8, 9]
    have[8] = False
    assert np.flatnonzero(flat_samples(x, have, 3)).tolist() == [1, 2, 3]
