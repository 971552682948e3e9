import pytest
from obspy import UTCDateTime

from seisml.errors import UserError
from seisml.waveforms.streams import index_streams, join_segments, list_files, station_days
from tests.continuous_records import START, make_record, make_stream


def write(folder, name, stream, format="MSEED"):
    folder.mkdir(parents=True, exist_ok=True)
    stream.write(str(folder / name), format=format)
    return folder / name


def test_station_days_of_an_sds_archive(tmp_path):
    for day in (0, 1):
        start = UTCDateTime(2020, 3, 28) + day * 86400
        stream = make_stream(make_record(100, {}), start=start)
        for trace in stream:
            channel = trace.stats.channel
            folder = tmp_path / "2020" / "XX" / "AAA" / f"{channel}.D"
            write(folder, f"XX.AAA..{channel}.D.2020.{88 + day:03d}", trace)
    index = index_streams([tmp_path])
    tasks, refused = station_days(index, "ZNE", 11.0)
    assert [task.name for task in tasks] == ["XX.AAA..HH.2020.088", "XX.AAA..HH.2020.089"]
    assert list(tasks[0].components) == ["Z", "N", "E"] and not refused and len(index.spans) == 6
    assert all(len(pieces) == 2 for pieces in tasks[0].components.values())  # windows reach over midnight


def test_a_day_reaches_into_the_next_days_file(tmp_path):
    midnight = UTCDateTime(2020, 3, 29)
    x = make_record(200, {})
    write(tmp_path, "a.mseed", make_stream(x[:, :2000], start=midnight - 100))
    write(tmp_path, "b.mseed", make_stream(x[:, 2000:], start=midnight))
    first, second = station_days(index_streams([tmp_path]), "ZNE", 11.0)[0]
    assert len(first.components["Z"]) == 2 and len(second.components["Z"]) == 2
    assert {piece.stretch for piece in second.components["Z"]} == {(midnight - 100).ns}  # one unbroken stretch


def test_other_component_names_and_extra_channels(tmp_path):
    stream = make_stream(make_record(60, {}), channels="12Z") + make_stream(make_record(60, {})[:1], channels="X")
    write(tmp_path, "a.mseed", stream)
    (task,), _ = station_days(index_streams([tmp_path]), "ZNE", 11.0)
    assert [task.components[c][0].code for c in "ZNE"] == ["HHZ", "HH1", "HH2"]
    assert task.notes == ("took HH1 as N, HH2 as E", "did not use HHX")


def test_missing_components_are_said(tmp_path):
    write(tmp_path, "a.mseed", make_stream(make_record(60, {})[:2], channels="ZE"))
    write(tmp_path, "b.mseed", make_stream(make_record(60, {})[:1], channels="H", station="BBB"))
    tasks, refused = station_days(index_streams([tmp_path]), "ZNE", 11.0)
    assert tasks[0].components["N"] == () and tasks[0].notes == ("no component N",)
    assert refused == [("XX.BBB..HH*", "none of the components ZNE (has 'HHH')")]


def test_files_that_are_no_waveforms_are_listed(tmp_path):
    write(tmp_path, "a.mseed", make_stream(make_record(60, {})))
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty.mseed").write_bytes(b"")
    (tmp_path / ".hidden").write_text("x")
    index = index_streams([tmp_path])
    assert [(path.name, reason) for path, reason in index.skipped] == [
        ("empty.mseed", "empty file"),
        ("readme.txt", "not a waveform format that ObsPy reads"),
    ]
    with pytest.raises(UserError, match="no waveform to predict on.*readme.txt"):
        index_streams([tmp_path / "readme.txt"])


def test_missing_paths_and_empty_folders(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        list_files([tmp_path / "nothing"])
    with pytest.raises(UserError, match="no file in"):
        index_streams([tmp_path])


def test_places_of_segments(tmp_path):
    x = make_record(100, {})[:1]
    step = 1 / 20.0
    parts = [(0, 500, 0.0), (500, 1000, 0.4 * step), (900, 1200, 0.0), (1300, 1500, 0.0)]  # jitter, overlap, gap
    for number, (first, last, jitter) in enumerate(parts):
        stream = make_stream(x[:, first:last], start=START + first * step + jitter, channels="Z")
        write(tmp_path, f"{number}.mseed", stream)
    (task,), _ = station_days(index_streams([tmp_path]), "Z", 11.0)
    pieces = task.components["Z"]
    assert [piece.offset for piece in pieces] == [0, 500, 900, 0]
    assert [piece.stretch for piece in pieces] == [START.ns] * 3 + [(START + 65).ns]


def test_a_clock_that_drifts_starts_a_new_stretch():
    from pathlib import Path

    from seisml.waveforms.index import Instrument, Segment

    own = Instrument("XX", "AAA", "", "HH")
    start, length = 10**18, 3600 * 10**9
    segments = []
    for hour in range(10):
        begin = start + hour * (length + 2 * 10**6)  # 2 ms late every hour at 100 Hz
        segments.append(Segment(Path(str(hour)), own, "Z", begin, begin + length - 10**7, 100.0))
    pieces = join_segments(segments)
    assert len({piece.stretch for piece in pieces}) == 4  # each time half a sample has come together
    for piece in pieces:
        placed = piece.stretch + piece.offset * 10**7
        assert abs(placed - piece.start) <= 5 * 10**6
