"""``seisml prepare folder --group``: several files become one record; what SAC headers tell."""

from __future__ import annotations

import os

import numpy as np
import obspy
import pytest

from seisml.cli import main
from seisml.prepare import files as preparing
from seisml.store.store import Store
from seisml.waveforms.preprocessing import Preprocessing
from seisml.workers import pool
from tests.prepare import crashing_reader
from tests.waveforms.test_record import save, trace

EVENT = r"^(?P<event>ev\d)"


def run(*arguments):
    return main(["prepare", "folder", *map(str, arguments)])


def prepared(folder, out, *options):
    assert run(folder, "--out", out, *options) == 0
    return Store(out)


def sac(path, code="XX.STA..HHZ", seed=0, start=0.0, **header):
    own = trace(code, seed=seed, start=start)
    own.data = own.data.astype(np.float32)
    own.stats.sac = header
    own.write(str(path), format="SAC")


@pytest.fixture
def archive(tmp_path):
    """One component per file: two events, each at stations A and B, in two classes."""
    for label, event in (("LP", "ev1"), ("VT", "ev1"), ("VT", "ev2")):
        folder = tmp_path / "in" / label
        folder.mkdir(parents=True, exist_ok=True)
        for i, (station, component) in enumerate((s, c) for s in "BA" for c in "ENZ"):
            save(folder / f"{event}_{station}_{component}.mseed", trace(f"XX.{station}..HH{component}", seed=i))
    return tmp_path / "in"


def test_files_of_an_event_become_one_record(archive, tmp_path):
    store = prepared(archive, tmp_path / "store", "--group", EVENT)
    assert store.n_traces.tolist() == [6, 6, 6]
    assert store.metadata["trace_category"].tolist() == ["LP", "VT", "VT"]
    assert store.metadata["source_id"].tolist() == ["LP/ev1", "VT/ev1", "VT/ev2"]
    assert store.metadata["trace_source_file"][0] == "LP/ev1_A_E.mseed"
    assert store.metadata["trace_channels"][0] == ";".join(f"XX.{s}..HH{c}" for s in "AB" for c in "ZNE")
    np.testing.assert_array_equal(store.read_records([0])[0][0, 0], trace(seed=5).data.astype(np.float32))


def test_components_of_a_station_become_one_record(archive, tmp_path):
    options = ["--group", r"(?P<of>ev\d)_(?P<station>.)_", "--event", EVENT]
    store = prepared(archive, tmp_path / "store", *options)
    assert store.n_traces.tolist() == [3] * 6
    assert set(store.metadata["trace_component_order"]) == {"ZNE"}
    assert store.metadata["station_code"].tolist() == ["A", "B"] * 3
    assert store.metadata["source_id"].tolist() == ["ev1"] * 4 + ["ev2"] * 2
    chosen = prepared(archive, tmp_path / "chosen", *options, "--components", "EZ")
    assert set(chosen.metadata["trace_component_order"]) == {"EZ"}


def test_files_of_other_events_never_join(archive, tmp_path):
    store = prepared(archive, tmp_path / "store", "--group", "ev", "--event", EVENT)
    assert store.metadata["source_id"].tolist() == ["ev1", "ev1", "ev2"]


def test_a_folder_per_event(tmp_path):
    for event in ("first", "second"):
        (tmp_path / "in" / "VT" / event).mkdir(parents=True)
        for station in "AB":
            save(tmp_path / "in" / "VT" / event / f"{station}.mseed", trace(f"XX.{station}..HHZ"))
    store = prepared(tmp_path / "in", tmp_path / "store", "--group", "^[^/]+")
    assert store.n_traces.tolist() == [2, 2]
    assert store.metadata["source_id"].tolist() == ["VT/first", "VT/second"]


def test_parts_in_several_files_are_joined_to_one_window(tmp_path):
    (tmp_path / "in" / "VT").mkdir(parents=True)
    whole = trace("XX.A..HHZ", n=1000)
    for number, part in enumerate((whole.slice(endtime=whole.stats.starttime + 4.99), whole.copy())):
        save(tmp_path / "in" / "VT" / f"a{number}.mseed", part)
    save(tmp_path / "in" / "VT" / "a2.mseed", trace("XX.B..HHZ", n=800, start=1.0))
    store = prepared(tmp_path / "in", tmp_path / "store", "--group", "^a")
    assert (store.n_traces[0], store.n_samples[0]) == (2, 800)
    np.testing.assert_array_equal(store.read_records([0])[0][0, 0], whole.data[100:900].astype(np.float32))


def test_a_bad_file_costs_itself(archive, tmp_path, capsys):
    damage = {
        "ev1_A_E": trace("XX.A..HHE", data=np.full(500, np.nan, np.float32)),
        "ev1_A_N": trace("XX.A..HHN", start=9.0),
    }
    for name, own in damage.items():
        traces = [own] if name.endswith("E") else [own, trace("XX.A..HHN", start=60.0)]
        save(archive / "LP" / f"{name}.mseed", *traces)
    (archive / "LP" / "ev1_B_Z.mseed").write_text("no waveform\n" * 9)
    for path in (archive / "VT").glob("ev2*"):
        path.write_bytes(b"")
    (archive / "VT" / "notes").write_text("hello")
    store = prepared(archive, tmp_path / "store", "--group", EVENT)
    assert store.n_traces.tolist() == [3, 6]
    assert store.metadata["trace_source_file"][0] == "LP/ev1_A_Z.mseed"
    reasons = {entry["file"]: entry["reason"] for entry in store.prepared["skipped"]}
    assert len(reasons) == 3 + 6 + 1
    assert reasons["LP/ev1_A_E.mseed"].startswith("NaN or infinite samples")
    assert reasons["LP/ev1_A_N.mseed"].startswith("gap of ")
    assert reasons["LP/ev1_B_Z.mseed"].endswith("; the rest of its record is stored")
    assert reasons["VT/ev2_A_Z.mseed"] == "empty file"
    assert reasons["VT/notes"].startswith("its path does not match --group")


def test_files_that_do_not_fit_together_are_skipped_as_one(archive, tmp_path):
    save(archive / "LP" / "ev1_A_E.mseed", trace("XX.A..HHE", rate=50.0))
    store = prepared(archive, tmp_path / "store", "--group", EVENT)
    assert store.prepared["counts"] == {"VT": 2}
    assert {entry["reason"].split(" (")[0] for entry in store.prepared["skipped"]} == {"mixed sampling rates"}
    assert len(store.prepared["skipped"]) == 6


def test_a_group_is_bounded(archive, tmp_path, capsys):
    assert run(archive, "--out", tmp_path / "store", "--group", EVENT, "--largest-record", "5e-6") == 2
    assert "the record of ev1_A_E.mseed would take" in capsys.readouterr().err


def test_the_rest_of_a_record_survives_a_crash(tmp_path, monkeypatch):
    files = []
    for number in range(8):
        path = tmp_path / f"{number:04}.mseed"
        path.touch()
        files.append(preparing.SourceFile(path, path.stem, "A", "event", str(number // 2)))
    monkeypatch.setattr(preparing, "try_record", crashing_reader.read)
    results = [result for _, result in preparing.read_all(preparing.grouped(files), Preprocessing(), 2)]
    assert [list(result.left_out) for result in results] == [[], [files[3].path], [], []]
    assert "crashed" in results[1].left_out[files[3].path]


def test_processes_give_the_same_store_and_again_is_a_no_op(archive, tmp_path, monkeypatch, capsys):
    prepared(archive, tmp_path / "one", "--group", EVENT, "--workers", "1")
    monkeypatch.setattr(pool, "NEXT_PROCESS", 0.0)
    prepared(archive, tmp_path / "two", "--group", EVENT, "--workers", "2")
    for name in ("metadata.csv", "prepare.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()
    capsys.readouterr()
    assert run(archive, "--out", tmp_path / "one", "--group", EVENT) == 0
    assert "up to date" in capsys.readouterr().out
    assert run(archive, "--out", tmp_path / "one", "--group", "^ev") == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_wrong_pattern_is_one_line(archive, tmp_path, capsys):
    assert run(archive, "--out", tmp_path / "store", "--group", "(") == 2
    error = capsys.readouterr().err
    assert "--group '(': not a regular expression" in error and error.count("\n") == 1


def test_many_classes_of_few_records_are_remarked(tmp_path, capsys):
    for number in range(12):
        (tmp_path / "in" / f"quake {number}").mkdir(parents=True)
        for station in "ABC":
            save(tmp_path / "in" / f"quake {number}" / f"{station}.mseed", trace(f"XX.{station}..HHZ", n=50))
    prepared(tmp_path / "in", tmp_path / "files")
    assert "if the folders are events" not in capsys.readouterr().out
    for number in range(12):
        os.remove(tmp_path / "in" / f"quake {number}" / "C.mseed")
    assert len(prepared(tmp_path / "in", tmp_path / "store")) == 24
    printed = capsys.readouterr().out
    assert "12 classes have at most 2 records each: if the folders are events and not classes" in printed
    assert "in/<class>/quake 0/..., and join the files of each with --group '^[^/]+'" in printed


def test_sac_headers_become_metadata(tmp_path, capsys):
    (tmp_path / "in" / "VT").mkdir(parents=True)
    place = {"stla": 12.6177, "stlo": 273.144, "stel": 524.9, "evla": -12.5, "evlo": -86.9565, "evdp": 7.5, "mag": 2.4}
    sac(tmp_path / "in" / "VT" / "a.sac", **place, a=2.5, ka="IPU0", t0=3.5, kt0="S")
    sac(tmp_path / "in" / "VT" / "b.sac", evla=91.0, evlo=np.inf, stel=-12345.0, mag=np.nan, a=2.0, ka="eS", t1=1.0)
    sac(tmp_path / "in" / "VT" / "c.sac", evdp=30_000.0, a=2.0, t0=4.0, kt0="PEAK")
    sac(tmp_path / "in" / "VT" / "d.sac", a=400.0, stla=1e38)
    table = prepared(tmp_path / "in", tmp_path / "store").metadata
    row = table.iloc[0]
    assert (row.station_latitude_deg, row.station_longitude_deg, row.station_elevation_m) == (12.6177, -86.856, 524.9)
    assert (row.source_latitude_deg, row.source_longitude_deg, row.source_depth_km) == (-12.5, -86.9565, 7.5)
    assert row.source_magnitude == 2.4
    assert (row.trace_p_arrival_sample, row.trace_p_phase_hint) == (250.0, "IPU0")
    assert (row.trace_s_arrival_sample, row.trace_s_phase_hint) == (350.0, "S")
    told = table.filter(regex="station_.*(deg|_m)$|source_(lat|lon|dep|mag)|arrival").notna()
    assert [told.columns[row].tolist() for row in told.to_numpy()[1:]] == [
        ["trace_s_arrival_sample"],
        ["trace_p_arrival_sample"],
        [],
    ]
    assert "1 records: evdp beyond 1000 km left out" in capsys.readouterr().out
    metres = prepared(tmp_path / "in", tmp_path / "metres", "--sac-depth", "m").metadata
    assert metres["source_depth_km"].tolist()[:3:2] == [0.0075, 30.0]


def test_a_record_has_the_sac_values_that_its_traces_share(tmp_path):
    (tmp_path / "in" / "VT").mkdir(parents=True)
    source = {"evla": 12.5, "evlo": -86.5}
    for event, other in (("ev1", {}), ("ev2", source), ("ev3", {**source, "evla": 13.0, "evdp": 3.0})):
        sac(
            tmp_path / "in" / "VT" / f"{event}_A_Z.sac",
            "XX.A..HHZ",
            stla=1.0,
            stlo=5.0,
            stel=7.0,
            a=2.0,
            ka="P",
            **source,
        )
        sac(tmp_path / "in" / "VT" / f"{event}_A_N.sac", "XX.A..HHN", seed=1, stla=1.0, stlo=5.0, **source)
        sac(
            tmp_path / "in" / "VT" / f"{event}_B_Z.sac",
            "XX.B..HHZ",
            seed=2,
            stla=2.0,
            stlo=5.0,
            stel=7.0,
            a=2.5,
            **other,
        )
    stations = prepared(tmp_path / "in", tmp_path / "stations", "--group", r"^ev\d_.").metadata
    assert stations["station_latitude_deg"].tolist() == [1.0, 2.0] * 3
    assert stations["station_elevation_m"].tolist() == [7.0] * 6
    assert stations["trace_p_arrival_sample"].tolist() == [200.0, 250.0] * 3
    events = prepared(tmp_path / "in", tmp_path / "events", "--group", EVENT).metadata
    assert not {"station_latitude_deg", "trace_p_arrival_sample"} & set(events)
    assert events["station_elevation_m"].tolist() == [7.0] * 3
    np.testing.assert_array_equal(events["source_latitude_deg"], [12.5, 12.5, np.nan])
    np.testing.assert_array_equal(events["source_longitude_deg"], [-86.5, -86.5, np.nan])  # no half a place
    np.testing.assert_array_equal(events["source_depth_km"], [np.nan, np.nan, 3.0])


def test_a_depth_beside_one_that_is_not_believed_is_left_out(tmp_path):
    (tmp_path / "in" / "VT").mkdir(parents=True)
    for number, depth in enumerate((500.0, 2000.0)):
        sac(tmp_path / "in" / "VT" / f"ev1_{number}.sac", f"XX.{number}..HHZ", seed=number, evdp=depth, mag=1.0)
    store = prepared(tmp_path / "in", tmp_path / "store", "--group", EVENT)
    assert "source_depth_km" not in store.metadata
    assert store.metadata["source_magnitude"].tolist() == [1.0]


def test_telica_2010(tmp_path, shared_data):
    """Four events at four stations each; where stations tell different depths of an event, none is taken."""
    (tmp_path / "in" / "LP").mkdir(parents=True)
    depths: dict[str, set[float]] = {}
    for path in sorted((shared_data / "telica_2010").glob("2010-*.sac")):
        (tmp_path / "in" / "LP" / path.name).symlink_to(path)
        told = obspy.read(path, format="SAC", headonly=True)[0].stats.sac
        depths.setdefault(f"LP/{path.name[:17]}", set()).update({told["evdp"] / 1000.0} if "evdp" in told else ())
    store = prepared(tmp_path / "in", tmp_path / "store", "--group", "^.{17}", "--sac-depth", "m")
    assert (store.n_traces.tolist(), store.prepared["skipped"]) == ([4] * 4, [])
    assert store.metadata["source_id"].tolist() == list(depths)
    assert store.metadata["trace_channels"][0] == ".TBHS..BHZ;.TBHY..BHZ;.TBMR..BHZ;.TBTN..BHZ"
    expected = [told.pop() if len(told) == 1 else np.nan for told in depths.values()]
    np.testing.assert_allclose(store.metadata["source_depth_km"], expected)
