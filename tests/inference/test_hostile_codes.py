"""Station codes that are paths, patterns or formulas: files stay in the output folder, the true codes in the tables."""

from __future__ import annotations

import csv

import pytest
from obspy import read_events

from seisml.cli import main
from seisml.files import harmless, original, safe_name
from tests.continuous_records import make_record, make_stream, write_checkpoint

CODES = [("../../..", "x"), ("/tmp/e", "y"), ("$^$", "$a_$"), ("[ab]*", "?"), ("=1+1", "@SUM"), ("A.B", "C")]
CODES += [("A", "B.C"), ("", "..")]


def test_safe_names_are_names_and_differ():
    names = {safe_name(network, station, "", "HH") for network, station in CODES}
    assert len(names) == len(CODES) and safe_name("NO", "AKN", "", "HH") == "NO.AKN..HH"
    assert not any(set(name) & set("/\\*?[]\0\n=") for name in names)
    assert safe_name("%2E") != safe_name(".") and safe_name("..") == "%2E%2E"


TEXTS = ("=1", "+a", "-x", "@y", "\tz", "\rz", "'=1", "''@", "'plain", "plain", "", "-3.5", "+1e3")


@pytest.mark.parametrize("text", TEXTS)
def test_harmless_cells_go_there_and_back(text):
    cell = harmless(text)
    assert original(cell) == text and (cell[:1] not in set("=+-@\t\r") or text in ("-3.5", "+1e3"))
    assert harmless(-3.5) == -3.5


def test_codes_that_are_paths_stay_in_the_output_folder(tmp_path, capsys):
    checkpoint = write_checkpoint(tmp_path / "run")
    folder = tmp_path / "a" / "b" / "c"
    (folder / "in").mkdir(parents=True)
    for number, (network, station) in enumerate(CODES):
        record = make_record(60, {30.0: "earthquake"}, seed=number)
        for trace in make_stream(record, network=network, station=station):
            trace.write(str(folder / "in" / f"{number}{trace.stats.channel}.sac"), format="SAC")
    before = {path for path in tmp_path.rglob("*") if folder / "out" not in path.parents}
    assert main(["predict", str(checkpoint), str(folder / "in"), "--out", str(folder / "out"), "--quakeml"]) == 0
    capsys.readouterr()
    assert {path for path in tmp_path.rglob("*") if folder / "out" not in path.parents} == before | {folder / "out"}
    assert len(list((folder / "out" / "days").iterdir())) == len(CODES)
    assert len(list((folder / "out" / "figures").glob("*.png"))) == len(CODES)
    with (folder / "out" / "detections.csv").open(encoding="utf-8", newline="") as file:
        found = {(original(row["network"]), original(row["station"])) for row in csv.DictReader(file)}
    assert found == {(network, station) for network, station in CODES}
    picks = [event.picks[0].waveform_id for event in read_events(str(folder / "out" / "detections.xml"))]
    assert {(pick.network_code or "", pick.station_code) for pick in picks} == found
