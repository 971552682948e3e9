"""seisml prepare catalog: QuakeML with continuous data and with event files, made here."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime, read
from obspy.core.event import Catalog, Event, Magnitude, Origin, Pick, ResourceIdentifier, WaveformStreamID
from obspy.core.inventory import Inventory, Network, Station

from seisml.cli import main
from seisml.errors import UserError
from seisml.prepare.catalog import add_arguments, run
from seisml.store.store import Store

START = UTCDateTime(2020, 1, 1, 12)
RATE = 50.0
ORIGIN = START + 600
P_AAA, S_AAA = ORIGIN + 4.1, ORIGIN + 7.0


def trace(station: str, channel: str, start: UTCDateTime, seconds: float, spikes=(), rate: float = RATE) -> Trace:
    data = np.random.default_rng(0).normal(0, 10, round(seconds * rate)).astype(np.int32)
    for time in spikes:
        data[round((time - start) * rate)] += 10000
    header = {"network": "XX", "station": station, "channel": channel, "starttime": start, "sampling_rate": rate}
    return Trace(data, header)


def write_sds(root: Path, traces: list[Trace]) -> None:
    for part in traces:
        stats = part.stats
        folder = root / f"{stats.starttime.year}" / stats.network / stats.station / f"{stats.channel}.D"
        folder.mkdir(parents=True, exist_ok=True)
        part.write(str(folder / f"{part.id}.D.{stats.starttime.strftime('%Y.%jT%H%M')}"), format="MSEED")


def quakeml(path: Path, *events: tuple[str, UTCDateTime, dict]) -> None:
    catalog = Catalog()
    for identity, origin, picks in events:
        event = Event(resource_id=ResourceIdentifier(f"quakeml:test/{identity}"))
        if identity != "untyped":
            event.event_type = "quarry blast" if identity == "blast" else "earthquake"
        event.origins = [Origin(time=origin, latitude=46.0, longitude=8.0, depth=5000.0)]
        event.magnitudes = [Magnitude(mag=2.5, magnitude_type="ML")]
        for (station, phase), time in picks.items():
            stream = WaveformStreamID("XX", station, channel_code="HHZ")
            event.picks.append(Pick(time=time, waveform_id=stream, phase_hint=phase, evaluation_mode="automatic"))
        catalog.append(event)
    catalog.write(str(path), format="QUAKEML")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An hour of two stations in an SDS archive of half-hour files, BBB without its east component; three events."""
    halves = (START, START + 1800)
    traces = [trace("AAA", f"HH{c}", half, 1800, [P_AAA] * (half == START)) for c in "ZNE" for half in halves]
    traces += [trace("BBB", f"HH{c}", half, 1800) for c in "ZN" for half in halves]
    write_sds(tmp_path / "sds", traces)
    quakeml(
        tmp_path / "events.xml",
        ("first", ORIGIN, {("AAA", "Pg"): P_AAA, ("AAA", "S"): S_AAA, ("GONE", "P"): ORIGIN + 9}),
        ("across", START + 1800, {}),
        ("late", START + 3590, {}),
        ("elsewhere", START + 90000, {}),
    )
    return tmp_path


def prepare(root: Path, *options: str, waveforms="sds", catalog="events.xml", out="store") -> Store:
    parser = ArgumentParser()
    add_arguments(parser)
    paths = [str(root / waveforms), str(root / catalog), "--out", str(root / out)]
    assert run(parser.parse_args([*paths, "--workers", "1", *options])) == 0
    return Store(root / out)


def test_windows_from_continuous_data_carry_picks_on_the_right_sample(archive, capsys):
    store = prepare(archive, "--before", "10", "--after", "20")
    table = store.metadata.set_index(["source_id", "station_code"])
    assert set(table.index) == {
        (f"quakeml:test/{event}", station) for event in ("first", "across") for station in ("AAA", "BBB")
    }
    row = table.loc[("quakeml:test/first", "AAA")]
    assert row.trace_p_arrival_sample == 10 * RATE and row.trace_p_status == "automatic"
    assert row.trace_p_phase_hint == "Pg" and row.trace_category == "earthquake"
    assert row.trace_s_arrival_sample == pytest.approx((10 + 2.9) * RATE)
    assert UTCDateTime(row.trace_start_time) == P_AAA - 10
    assert (row.source_depth_km, row.source_magnitude, row.source_magnitude_type) == (5.0, 2.5, "ML")
    waveform, _ = store.read_records([int(np.flatnonzero(store.metadata.trace_p_arrival_sample.notna())[0])])
    assert waveform.shape[1:] == (3, 30 * RATE) and (waveform[0].argmax(axis=1) == 10 * RATE).all()
    # without a pick the origin is the reference; pieces of two files are joined
    assert UTCDateTime(table.loc[("quakeml:test/first", "BBB")].trace_start_time) == ORIGIN - 10
    files = sorted(map(str, (archive / "sds").rglob("XX.AAA..HHZ*")))
    original = (read(files[0]) + read(files[1])).merge()[0].slice(START + 1790, START + 1820)
    across = store.metadata.index[table.index.get_loc(("quakeml:test/across", "AAA"))]
    np.testing.assert_array_equal(store.read_traces([across], [[0]])[0, 0], original.data[:-1].astype(np.float32))

    said = capsys.readouterr().out
    assert "1 events without waveforms: 2020-01-02T13:00:00" in said
    assert "1 picks without waveforms" in said
    assert "lack component E" in said
    assert "the data cover 20.0 of the 30.0 s around the event" in said
    skipped = json.loads((archive / "store" / "prepare.json").read_text())["skipped"]
    assert {entry["file"] for entry in skipped} == {f"event {START + 3590} XX.{s}..HH*" for s in ("AAA", "BBB")}


def test_a_second_run_does_nothing(archive, capsys):
    prepare(archive)
    before = (archive / "store" / "waveforms.hdf5").stat().st_mtime_ns
    prepare(archive)
    assert "is up to date" in capsys.readouterr().out
    assert (archive / "store" / "waveforms.hdf5").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="--overwrite"):
        prepare(archive, "--before", "5")
    assert len(prepare(archive, "--before", "5", "--overwrite")) == 4


@pytest.mark.long
def test_missing_components_can_be_kept_filled_or_skipped(archive):
    window = ("--before", "5", "--after", "5")
    kept = prepare(archive, *window)
    assert Counter(kept.metadata.trace_component_order) == {"ZNE": 3, "ZN": 3}
    zeros = prepare(archive, *window, "--missing-components", "zeros", out="zeros")
    row = int(np.flatnonzero(zeros.metadata.station_code == "BBB")[0])
    waveform = zeros.read_records([row])[0][0]
    assert waveform.shape == (3, 500) and not waveform[2].any() and waveform[1].any()
    assert zeros.metadata.trace_channels[row] == "XX.BBB..HHZ;XX.BBB..HHN;"
    skipped = prepare(archive, *window, "--missing-components", "skip", out="skip")
    assert set(skipped.metadata.station_code) == {"AAA"}
    vertical = prepare(archive, *window, "--components", "Z", out="vertical")
    assert set(vertical.metadata.trace_component_order) == {"Z"} and len(vertical) == 6


def test_picks_follow_resampling_and_filters(archive):
    store = prepare(archive, "--sampling-rate", "20", "--bandpass", "1", "8", "--before", "10", "--after", "20")
    row = int(np.flatnonzero(store.metadata.trace_p_arrival_sample.notna())[0])
    assert store.metadata.trace_p_arrival_sample[row] == pytest.approx(200, abs=0.5)
    assert abs(np.abs(store.read_records([row])[0][0]).argmax(axis=1) - 200).max() <= 1
    assert set(store.n_samples) == {600}


def test_gaps_are_reported_or_filled(tmp_path, capsys):
    first, second = trace("AAA", "HHZ", START, 610), trace("AAA", "HHZ", START + 612, 1500)
    Stream([first, second]).write(str(tmp_path / "day.mseed"), format="MSEED")
    quakeml(tmp_path / "events.xml", ("a", ORIGIN, {}), ("b", START + 900, {}))
    store = prepare(tmp_path, waveforms="day.mseed")
    assert list(store.metadata.source_id) == ["quakeml:test/b"]
    assert "gap of 100 samples (2 s) in XX.AAA..HHZ" in capsys.readouterr().out
    assert len(prepare(tmp_path, "--fill-gaps", "zero", waveforms="day.mseed", out="filled")) == 2


def test_event_files_are_associated_by_time_and_joined_by_station(tmp_path, capsys):
    """One file per component; one event in the catalogue, one not; a spoilt and an empty file; a flat trace."""
    folder = tmp_path / "events"
    folder.mkdir()
    for name, start in (("known", ORIGIN - 20), ("unknown", ORIGIN + 5000)):
        for component in "ZNE":
            part = trace("AAA", f"BH{component}", start, 60, [P_AAA] * (name == "known"))
            if name == "unknown" and component == "E":
                part.data[:] = 7
            part.write(str(folder / f"{name}.{component}.sac"), format="SAC")
    (folder / "copy.sac").write_bytes((folder / "known.Z.sac").read_bytes())
    (folder / "notes.txt").write_text("not a waveform")
    (folder / "nothing.sac").write_bytes(b"")
    quakeml(tmp_path / "events.xml", ("untyped", ORIGIN, {("AAA", "P"): P_AAA}))
    table = prepare(tmp_path, waveforms="events").metadata
    assert list(table.trace_component_order) == ["ZNE", "ZNE"]
    assert list(table.trace_category) == ["earthquake", "Unlabeled"]
    assert list(table.source_id) == ["quakeml:test/untyped", "unknown.E.sac"]
    assert table.trace_p_arrival_sample[0] == pytest.approx(24.1 * RATE, abs=0.01)
    assert np.isnan(table.trace_p_arrival_sample[1])
    said = capsys.readouterr().out
    for line in (
        "notes.txt: not a waveform format that ObsPy reads",
        "nothing.sac: empty file",
        "1 files met twice count once",
        "1 flat traces, kept: XX.AAA..BHE (1)",
    ):
        assert line in said
    labelled = prepare(tmp_path, "--label", "swarm", waveforms="events", out="labelled").metadata
    assert list(labelled.trace_category) == ["swarm", "Unlabeled"]


def test_stations_of_one_event_share_its_id_even_without_picks(tmp_path):
    """Teleseismic files that begin long after the origin, one per station, only one station picked."""
    folder = tmp_path / "events"
    folder.mkdir()
    for station, delay in (("AAA", 0.0), ("BBB", 5.0)):
        trace(station, "BHZ", ORIGIN + 500 + delay, 60).write(str(folder / f"{station}.sac"), format="SAC")
    quakeml(tmp_path / "events.xml", ("far", ORIGIN, {("AAA", "P"): ORIGIN + 520}))
    table = prepare(tmp_path, waveforms="events").metadata
    assert list(table.source_id) == ["quakeml:test/far"] * 2
    assert table.trace_p_arrival_sample.tolist() == pytest.approx([20 * RATE, np.nan], nan_ok=True)


def test_bad_input_is_refused_in_one_line(archive, capsys):
    (archive / "bad.xml").write_text("<html>not a catalogue</html>")
    (archive / "empty").mkdir()

    def refused(*options: str, waveforms: str = "sds", catalog: str = "events.xml") -> str:
        paths = [str(archive / waveforms), str(archive / catalog), "--out", str(archive / "store"), "--workers", "1"]
        assert main(["prepare", "catalog", *paths, *options]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and not (archive / "store").exists()
        return said

    assert "bad.xml: no event found" in refused(catalog="bad.xml")
    assert "no such catalogue file or folder" in refused(catalog="missing.xml")
    assert "no such waveform file or folder" in refused(waveforms="missing")
    assert "holds no files" in refused(waveforms="empty")
    assert "no station found" in refused("--stations", str(archive / "bad.xml"))
    assert "no such file" in refused("--stations", str(archive / "none.xml"))
    assert "--before" in refused("--before", "0", "--after", "0")
    assert "--lead" in refused("--windows", "--lead", "5", "30")
    assert "--label" in refused("--windows", "--label", "x")
    assert "--gap" in refused("--windows", "--gap", "-1")
    assert "no record" in refused("--components", "R")
    # a catalogue of which only one file is spoilt is used, and says so
    (archive / "catalogues").mkdir()
    for name in ("events.xml", "bad.xml"):
        (archive / name).rename(archive / "catalogues" / name)
    prepare(archive, catalog="catalogues")
    assert "bad.xml: not a catalogue that ObsPy reads" in capsys.readouterr().out


def test_labelled_windows_from_continuous_data(archive):
    options = ("--windows", "--window-length", "8", "--lead", "1", "3", "--gap", "2")
    store = prepare(archive, *options, "--noise-windows", "2")
    table = store.metadata
    assert set(store.n_samples) == {400}
    own = table[(table.source_id == "quakeml:test/first") & (table.station_code == "AAA")]
    assert list(own.trace_category) == ["event", "noise", "noise"]
    event, noise = own.iloc[0], own.iloc[1:]
    assert 1 * RATE <= event.trace_p_arrival_sample <= 3 * RATE and noise.trace_p_arrival_sample.isna().all()
    assert UTCDateTime(event.trace_start_time) + event.trace_p_arrival_sample / RATE == P_AAA
    assert store.read_records([own.index[0]])[0][0, 0].argmax() == event.trace_p_arrival_sample
    assert all(UTCDateTime(start) + 8 <= P_AAA - 2 for start in noise.trace_start_time)
    assert set(table.trace_category[table.station_code == "BBB"]) == {"Unlabeled"}
    again = prepare(archive, *options, out="again")
    assert again.metadata.trace_p_arrival_sample[0] == event.trace_p_arrival_sample


def test_paths_are_computed_where_stations_are_known(archive):
    stations = [Station("AAA", latitude=46.0, longitude=9.0, elevation=500.0)]
    inventory = Inventory(networks=[Network("XX", stations=stations)], source="test")
    inventory.write(str(archive / "stations.xml"), format="STATIONXML")
    table = prepare(archive, "--stations", str(archive / "stations.xml")).metadata
    row = table[table.station_code == "AAA"].iloc[0]
    assert row.path_ep_distance_km == pytest.approx(77.4, abs=0.2)
    assert row.path_back_azimuth_deg == pytest.approx(270, abs=1) and row.station_elevation_m == 500.0
    assert table[table.station_code == "BBB"].station_latitude_deg.isna().all()


@pytest.mark.parametrize("windows", [False, True])
def test_records_of_dead_traces_alone_are_skipped_unless_kept(archive, windows):
    traces = [trace("AAA", f"HH{c}", START, 1800, [P_AAA]) for c in "ZNE"]
    traces += [trace("DDD", f"HH{c}", START, 1800) for c in "ZNE"]
    for dead in traces[3:]:
        dead.data[:] = 5
    write_sds(archive / "some", traces)
    picks = {("AAA", "P"): P_AAA, ("DDD", "P"): P_AAA}
    quakeml(archive / "one.xml", ("first", ORIGIN, picks))
    cut = ["--windows"] if windows else []
    store = prepare(archive, *cut, waveforms="some", catalog="one.xml")
    assert set(store.metadata.station_code) == {"AAA"}
    assert any(skip["reason"].startswith("dead: ") and "DDD" in skip["file"] for skip in store.prepared["skipped"])
    kept = prepare(archive, *cut, "--dead-traces", "keep", waveforms="some", catalog="one.xml", out="kept")
    assert set(kept.metadata.station_code) == {"AAA", "DDD"}


def test_neighbours_with_files_of_their_own_are_each_cut_once(tmp_path):
    """Events 20 s apart, a file of 90 s around each, so that both files hold both; a third has no file of its own."""
    origins = {"big": ORIGIN, "small": ORIGIN + 20, "own": ORIGIN + 400, "guest": ORIGIN + 430}
    for name in ("big", "small", "own"):
        start = origins[name] - 40
        parts = [trace(station, f"HH{c}", start, 90) for station in ("AAA", "BBB") for c in "ZNE"]
        (tmp_path / "files").mkdir(exist_ok=True)
        Stream(parts).write(str(tmp_path / "files" / f"{name}.mseed"), format="MSEED")
    picks = {"big": {("AAA", "P"): ORIGIN + 4, ("AAA", "S"): ORIGIN + 7}, "small": {("AAA", "P"): ORIGIN + 24}}
    quakeml(tmp_path / "events.xml", *((name, time, picks.get(name, {})) for name, time in origins.items()))
    table = prepare(tmp_path, waveforms="files").metadata
    assert sorted(zip(table.trace_source_file, table.station_code, strict=True)) == sorted(
        (f"{file}.mseed", station) for file in ("big", "small", "own", "own") for station in ("AAA", "BBB")
    )
    assert table.source_id.nunique() == 4 and not table.duplicated(["source_id", "station_code"]).any()
    assert len(table[table.station_code == "AAA"].trace_p_arrival_sample.dropna()) == 2


def test_windows_without_picks_are_explained(archive, capsys):
    quakeml(archive / "origins.xml", ("first", ORIGIN, {}))
    prepare(archive, "--windows", catalog="origins.xml")
    assert "No record has a P pick, so all windows are unlabelled" in capsys.readouterr().out
