"""seisml prepare catalog: real S-files and miniSEED, and QuakeML with continuous data made here."""

from __future__ import annotations

import json
import signal
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime, read
from obspy.core.event import Catalog, Event, Magnitude, Origin, Pick, ResourceIdentifier, WaveformStreamID
from obspy.core.inventory import Inventory, Network, Station

from seisml.cli import main
from seisml.data.catalog import add_arguments, run
from seisml.data.catalog_jobs import in_order
from seisml.data.catalog_reading import CatalogEvent, merge_entries, unite_events
from seisml.data.catalog_reading import Pick as CatalogPick
from seisml.data.station_coordinates import read_stations
from seisml.data.store import Store
from seisml.data.waveform_index import choose_sensor
from seisml.data.windows import WindowOptions, place_windows
from seisml.errors import UserError

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


def test_window_places():
    options = WindowOptions(length=20, lead=(2, 10), gap=5, noise_windows=1)
    leads, ends = [], []
    for key in range(300):
        windows, reasons = place_windows(9000, 100.0, 4200.3, options, str(key))
        assert [window.label for window in windows] == ["event", "noise"] and not reasons
        leads.append((4200.3 - windows[0].start) / 100)
        ends.append(windows[1].start + 2000)
    assert 2 <= min(leads) < 2.4 and 9.6 < max(leads) <= 10  # spread over the whole range
    assert abs(np.mean(leads) - 6) < 0.5 and max(ends) <= 3700 and min(ends) < 2200
    assert place_windows(9000, 100.0, 4200.3, options, "7") == place_windows(9000, 100.0, 4200.3, options, "7")

    windows, reasons = place_windows(9000, 100.0, 1000.0, options, "k")
    assert [window.label for window in windows] == ["event"] and "noise window" in reasons[0]
    windows, reasons = place_windows(9000, 100.0, 8500.0, options, "k")
    assert [window.label for window in windows] == ["noise"] and "P pick too close" in reasons[0]
    _, reasons = place_windows(9000, 100.0, 4200.0, options, "k", quiet_from=3000.0)  # the coda of an earlier event
    assert "noise window" in reasons[0]
    windows, _ = place_windows(9000, 100.0, None, options, "k")
    assert len(windows) == 4 and {window.label for window in windows} == {None}
    starts = [window.start for window in windows]
    assert min(np.diff(starts)) >= 2000 and starts[-1] + 2000 <= 9000
    assert place_windows(1000, 100.0, None, options, "k") == ([], ["shorter than a window of 20 s"])


def test_entries_of_one_event_are_united():
    def entry(second: float, latitude: float, *picks: CatalogPick) -> CatalogEvent:
        return CatalogEvent(f"e{second:g}", START + second, latitude=latitude, longitude=8.0, picks=picks)

    pick = CatalogPick("P", "P", START + 5, "", "AAA")
    other = CatalogPick("P", "P", START + 6, "", "BBB")
    entries = [entry(0, 46.0, other), entry(1.5, 46.1, pick, other), entry(3.0, 46.0), entry(3.1, 50.0)]
    entries.append(entry(60, 46.0))
    united = unite_events(entries, seconds=2.0, kilometres=50.0)
    assert [event.source_id for event in united] == ["e0", "e0", "e0", "e3.1", "e60"]
    merged = merge_entries(united[:3])
    assert merged.latitude == 46.1 and merged.picks == (pick, other)


def test_the_sensor_that_was_picked_on_is_taken():
    assert choose_sensor("123ZNE", "ZNE", {"2": 18, "3": 6}) == {"Z": "1", "N": "2", "E": "3"}
    assert choose_sensor("123ZNE", "ZNE", {}) == {"Z": "Z", "N": "N", "E": "E"}
    assert choose_sensor("21Z", "ZNE", {"Z": 5}) == {"Z": "Z", "N": "1", "E": "2"}
    assert choose_sensor("ZE", "ZNE", {}) == {"Z": "Z", "E": "E"}
    assert choose_sensor("HZ", "ZH", {}) == {"Z": "Z", "H": "H"}
    assert choose_sensor("RT", "ZNE", {}) == {}


def test_station_files(tmp_path):
    (tmp_path / "STATION0.HYP").write_text(
        "RESET TEST(02)=9.0\n\n  FRAN4322806S170 9624E 129\n WHAT24316758S17021623E  95\n .WV014316.85S17023.73E  88\n"
        "  BOB 4124.49N17452.27W 101\n- NZ014429880S165  119E4682\n\n  5.500     0.00\n"
    )
    table = read_stations(tmp_path / "STATION0.HYP")
    assert len(table) == 4 and table.find("AF", "WV01", "") is None
    place = table.find("AF", "FRAN", "10")
    assert (place.latitude, place.longitude, place.elevation) == pytest.approx((-43.3801, 170.1604, 129.0))
    bob, deep = table.find("", "BOB", ""), table.find("", "NZ01", "")
    assert (bob.latitude, bob.longitude) == pytest.approx((41.408167, -174.871167)) and deep.elevation == -4682.0

    station = Station("AAA", latitude=46.0, longitude=9.0, elevation=500.0)
    inventory = Inventory(networks=[Network("XX", stations=[station])], source="test")
    inventory.write(str(tmp_path / "stations.xml"), format="STATIONXML")
    assert read_stations(tmp_path / "stations.xml").find("XX", "AAA", "00").longitude == 9.0


def test_paths_are_computed_where_stations_are_known(archive):
    stations = [Station("AAA", latitude=46.0, longitude=9.0, elevation=500.0)]
    inventory = Inventory(networks=[Network("XX", stations=stations)], source="test")
    inventory.write(str(archive / "stations.xml"), format="STATIONXML")
    table = prepare(archive, "--stations", str(archive / "stations.xml")).metadata
    row = table[table.station_code == "AAA"].iloc[0]
    assert row.path_ep_distance_km == pytest.approx(77.4, abs=0.2)
    assert row.path_back_azimuth_deg == pytest.approx(270, abs=1) and row.station_elevation_m == 500.0
    assert table[table.station_code == "BBB"].station_latitude_deg.isna().all()


def test_a_crash_in_a_worker_costs_one_item():
    items = [9 if number == 30 else 0 for number in range(40)]  # signal 9 kills the process, signal 0 does nothing
    results = list(in_order(signal.raise_signal, items, workers=2, crashed=lambda item: f"crashed on {item}"))
    assert results == ["crashed on 9" if item else None for item in items]


def test_nz_2013_completely(shared_data, tmp_path, capsys):
    root = shared_data / "nz_2013"
    arguments = [str(root), str(root / "REA"), "--stations", str(root / "STATION0.HYP"), "--out", str(tmp_path / "nz")]
    assert main(["prepare", "catalog", *arguments, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    table = Store(tmp_path / "nz").metadata
    p, s = table.trace_p_arrival_sample, table.trace_s_arrival_sample
    assert (len(table), p.notna().sum(), (p.notna() & s.notna()).sum()) == (544, 224, 110)
    assert (table.trace_source_file.nunique(), table.source_id.nunique()) == (62, 53)
    files = table[table.trace_category == "earthquake"].groupby("source_id").trace_source_file.nunique()
    assert (files > 1).sum() == 8
    similar = table[table.trace_source_file.str.startswith("similar_events")]
    assert set(similar.trace_category) == {"Unlabeled"} and similar.source_id.nunique() == 14
    assert set(table.trace_component_order) == {"ZNE"}
    assert set(table.trace_channels[table.station_code == "FRAN"]) == {"AF.FRAN..SH1;AF.FRAN..SH2;AF.FRAN..SH3"}
    assert ((p / table.trace_sampling_rate_hz).dropna().between(40, 48)).all()
    assert (s - p).dropna().gt(0).all()
    assert table.path_ep_distance_km.notna().sum() == (table.trace_category == "earthquake").sum()
    assert "3 flat traces, kept: ZT.WZ02..ELE (1), ZT.WZ02..ELN (1), ZT.WZ02..ELZ (1)" in said
    assert "LICENCE.txt: not a waveform format" in said
    # the S-file's own distances (km, column 70-75)
    own = table[table.source_id == "20130920T084947.30"].set_index("station_code").path_ep_distance_km
    assert own[["GCSZ", "WZ04", "WHYM", "FRAN", "LABE"]].tolist() == pytest.approx([4, 9, 10, 13, 21], abs=1.01)


def test_nz_2013_windows(shared_data, tmp_path):
    root = shared_data / "nz_2013"
    arguments = [str(root / "WAV/TEST_/2013"), str(root / "REA/TEST_/2013"), "--out", str(tmp_path / "nz")]
    assert main(["prepare", "catalog", *arguments, "--windows", "--sampling-rate", "100", "--workers", "1"]) == 0
    table = Store(tmp_path / "nz").metadata
    counts = Counter(table.trace_category)
    assert counts["event"] == counts["noise"] == 28 and counts["Unlabeled"] == 4 * (44 - 28)
    assert table[table.trace_category == "event"].trace_p_arrival_sample.between(200, 1000).all()
    assert set(table.trace_npts) == {2000}
    kinds = table.groupby("source_id").trace_category.agg(set)
    assert all({"event", "noise"} <= kind for kind in kinds)
