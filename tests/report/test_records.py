"""Pages about continuous records and comparisons."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from obspy import Stream, Trace, UTCDateTime

from seisml.errors import UserError
from seisml.evaluation.alarms import alarm_curve
from seisml.report.compose import ReportOptions, compose
from seisml.report.continuous.event_list import read_event_list
from seisml.report.page import render
from seisml.report.parts import Item, Part
from seisml.waveforms.times import format_time
from tests.report.test_report import charts, every, text

START = UTCDateTime(2020, 3, 28, 12)
COLUMNS = ("network", "station", "location", "channel", "onset", "start", "end", "class", "probability")


def write_record(folder: Path, onsets: dict[str, list[float]], label: str = "quake", length: float = 600) -> Path:
    """What ``seisml predict`` leaves of some stations, and the recordings beside it."""
    streams = folder.parent / "in"
    streams.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for station in onsets:
        days = folder / "days" / f"XX.{station}..HH"
        days.mkdir(parents=True)
        header = {"network": "XX", "station": station, "starttime": START, "sampling_rate": 20.0}
        traces = [Trace(random.normal(size=round(length * 20)).astype(np.float32), {**header, "channel": f"HH{c}"})
                  for c in "ZNE"]  # fmt: skip
        Stream(traces).write(str(streams / f"{station}.mseed"), format="MSEED")
        of_windows = {**header, "sampling_rate": 1.0}
        windows = [Trace(random.random(round(length) - 10).astype(np.float32), {**of_windows, "channel": f"P0{number}"})
                   for number in range(2)]  # fmt: skip
        Stream(windows).write(str(days / "2020.088.mseed"), format="MSEED")
        files = {"files": [str(streams / f"{station}.mseed")]}
        (days / "2020.088.json").write_text(json.dumps(files), encoding="utf-8")
    rows = [
        ["XX", station, "", "HH", *(format_time((START + onset + more).ns) for more in (0, 0, 8)), label,
         0.9 - place / 100]
        for station, times in onsets.items()
        for place, onset in enumerate(times)
    ]  # fmt: skip
    write_csv(folder / "detections.csv", COLUMNS, rows)
    codes = [["XX", station, "", "HH"] for station in onsets]
    head = (*COLUMNS[:4], "day", "status", "windows", "seconds_recorded", "detections", "notes")
    write_csv(folder / "report.csv", head, [[*code, "2020.088", "done", 590, length, 1, ""] for code in codes])
    about = {
        "checkpoint": "best.ckpt", "checkpoint_hash": "abc", "streams": [str(streams)], "classes": ["noise", label],
        "events": [label], "threshold": 0.5, "window_s": 10.0, "step_s": 1.0, "sampling_rate": 20.0,
        "any_component": False, "preprocessing": {"components": "ZNE", "sampling_rate": 20.0, "length": 10.0},
        "versions": {"seisml": "0.1.0"},
    }  # fmt: skip
    (folder / "prediction.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def write_csv(path: Path, head: tuple[str, ...], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def items(parts: list[Part]) -> list[Item]:
    return [item for part in every(parts) if part.browser is not None for item in part.browser.items]


def test_detections_have_pictures_and_can_be_chosen(tmp_path: Path) -> None:
    page = compose([write_record(tmp_path / "out", {"AAA": [100, 300], "BBB": [200]})], ReportOptions())
    assert not page.problems
    assert [part.title for part in page.parts] == ["Overview", "Detections", "Station-days", "How to reproduce"]
    found = items(page.parts)
    assert [(item.station, item.time[11:19]) for item in found] == [
        ("XX.AAA..HH", "12:01:40"), ("XX.BBB..HH", "12:03:20"), ("XX.AAA..HH", "12:05:00"),
    ]  # fmt: skip
    for item in found:
        assert item.picture is not None and item.picture.alt.startswith("28 s of record at XX.")
        assert "waveform of Z, N, E; spectrogram of Z up to 10 Hz; probability of quake" in item.picture.alt
    html = render(page)
    assert html.count("<select") == 4 and 'data-station="XX.AAA..HH"' in html


def test_without_the_recordings_the_table_stays_and_the_cure_is_said(tmp_path: Path) -> None:
    out = write_record(tmp_path / "out", {"AAA": [100, 300], "BBB": [200]})
    (tmp_path / "in").rename(tmp_path / "moved")
    page = compose([out], ReportOptions())
    assert len(items(page.parts)) == 3 and not any(item.picture for item in items(page.parts))
    assert len(page.problems) == 3 and "--recordings FOLDER" in page.problems[0]
    page = compose([out], ReportOptions(recordings=(tmp_path / "moved",)))
    assert not page.problems and all(item.picture for item in items(page.parts))


def test_pictures_are_of_each_station_in_turn_the_most_certain(tmp_path: Path) -> None:
    out = write_record(tmp_path / "out", {"AAA": [100, 200, 300, 400], "BBB": [150, 250]})
    page = compose([out], ReportOptions(pictures=3))
    drawn = [(item.station[3:6], item.time[14:19]) for item in items(page.parts) if item.picture]
    assert drawn == [("AAA", "01:40"), ("BBB", "02:30"), ("AAA", "03:20")]


def test_false_alarms_are_counted_by_station_day(tmp_path: Path) -> None:
    out = write_record(tmp_path / "out", {"AAA": [100, 300], "BBB": [102]})
    labels = tmp_path / "known.csv"
    times = (START + 103, START + 500, UTCDateTime(2019, 1, 1))
    labels.write_text("\n".join(["time,class", *(f"{time},rockfall" for time in times)]), encoding="utf-8")
    page = compose([out], ReportOptions(labels=labels))
    assert page.parts[1].lead[0].startswith("2 known events lie in the recorded days")
    assert [item.verdict for item in items(page.parts)] == ["known: rockfall", "known: rockfall", "no known event"]
    assert [row[2] for row in text(page.parts, "Events of the list")[1:]] == ["yes", "no"]
    table = charts(page.parts)[1].numbers
    assert table is not None
    # 0.89: the false one and one at each station; 0.90: two that are true; 1200 s of record are 1/72 of a day
    assert [[cell.text for cell in row] for row in table.rows] == [["0.8900", "72", "0.500"], ["0.9000", "0", "0.500"]]


def test_alarm_curve_counts_as_a_loop_does() -> None:
    random = np.random.default_rng(3)
    start = np.sort(random.integers(0, 10**12, 300))
    end, probability = start + random.integers(10**9, 10**10, 300), random.random(300).round(2)
    times = random.integers(0, 10**12, 40)
    found = alarm_curve(start, end, probability, times, 2.0, 0.5)
    reach = 2 * 10**9
    near = (times[None] >= start[:, None] - reach) & (times[None] <= end[:, None] + reach)
    np.testing.assert_array_equal(found.is_true, near.any(axis=1))
    for threshold, rate, share in zip(found.threshold, found.false_per_day, found.found, strict=True):
        chosen = probability >= threshold
        assert rate == pytest.approx((chosen & ~near.any(axis=1)).sum() / 0.5)
        assert share == pytest.approx(near[chosen].any(axis=0).mean())


def test_what_a_prediction_says_is_not_believed(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    out = write_record(tmp_path / "out", {"AAA": [100]}, label=evil)
    assert evil not in render(compose([out], ReportOptions()))
    about = json.loads((out / "prediction.json").read_text(encoding="utf-8"))
    wrong = {"window_s": 1e300, "sampling_rate": -1, "classes": "noise", "preprocessing": {"gaps": "all"}}
    for key, value in wrong.items():
        (out / "prediction.json").write_text(json.dumps({**about, key: value}), encoding="utf-8")
        page = compose([out], ReportOptions())
        assert len(page.problems) == 1 and len(items(page.parts)) == 1
    (out / "prediction.json").write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / "secret.txt").write_text("password", encoding="utf-8")
    day = out / "days" / "XX.AAA..HH" / "2020.088.json"
    for files in (["../../in/AAA.mseed"], [str(tmp_path / "secret.txt")], ["/dev/zero"], 3, [{}]):
        day.write_text(json.dumps({"files": files}), encoding="utf-8")
        page = compose([out], ReportOptions())
        assert len(page.problems) == 1 and "password" not in render(page)


def test_rows_that_are_no_detections_cost_themselves(tmp_path: Path) -> None:
    out = write_record(tmp_path / "out", {"AAA": [100, 300]})
    with (out / "detections.csv").open("a", encoding="utf-8") as file:
        file.write("XX,AAA,,HH,never,2020-01-01,2020-01-02,quake,0.9\n")
        file.write("XX,AAA,,HH,2020-01-01,2020-01-01,2020-01-01,quake,7\n")
    page = compose([out], ReportOptions())
    assert len(items(page.parts)) == 2 and "2 rows are no detections, the first in line 4" in page.problems[0]
    (out / "report.csv").write_text("nothing\n", encoding="utf-8")
    assert len(items(compose([out], ReportOptions()).parts)) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "has no column of times"),
        ("time,class\nnoon,x\n", "line 2: 'noon' is not a time"),
        ("time\n", "lists no event"),
    ],
)
def test_a_list_that_is_none_is_one_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "known.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_event_list(tmp_path / "known.csv")


def test_a_comparison_has_its_gains_and_curves(tmp_path: Path) -> None:
    rows = [
        {"probe": "nz", "labels": labels, "fraction": share, "row": row, "acc": acc, "balanced_acc": acc,
         "f1_macro": acc, "acc_std": 0.02, "train_events": events, "trials": 5, "to_scratch": gain,
         "to_scratch_low": gain and gain - 0.05, "to_scratch_high": gain and gain + 0.05,
         "to_scratch_real": str(gain == 0.1) if gain else ""}
        for labels, share, events in (("5%", 0.05, 2), ("100%", 1.0, 31))
        for row, acc, gain in (("scratch", 0.7, None), ("self + linear", 0.8, 0.1), ("self + fine-tuned", 0.73, 0.03))
    ]  # fmt: skip
    folder = tmp_path / "compare"
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "summary.csv", index=False)
    cells = pd.DataFrame({"probe": ["nz"], "row": ["scratch"], "labels": ["5%"], "seed": [0], "test_events_seen": [0]})
    cells.to_csv(folder / "results.csv", index=False)
    said = {"command": ["seisml", "compare", "--probe", "nz=a store"], "versions": {"torch": "2", "git": None}}
    (folder / "comparison.json").write_text(json.dumps(said))
    page = compose([folder], ReportOptions())
    assert page.title == "Comparison compare" and not page.problems
    code = [it for part in every(page.parts) for it in part.code]
    assert code == [("Command", "seisml compare --probe 'nz=a store'")]
    (folder / "comparison.json").write_text(json.dumps({"command": "rm", "versions": {}}))
    assert "input should be a valid list (it is 'rm')" in compose([folder], ReportOptions()).problems[0]
    gains = text(page.parts, "What each way to use the labels gains")
    assert gains == [["", "nz, 5%", "nz, 100%"], ["scratch", "70.0 %", "70.0 %"], ["self + linear", "+10.0", "+10.0"],
                     ["self + fine-tuned", "+3.0", "+3.0"]]  # fmt: skip
    means = text(page.parts, "nz: means over the trials")
    assert means[2][3] == "0.800 ± 0.020" and means[2][6] == "+0.100 [+0.050, +0.150]"
    (chart,) = charts(page.parts)
    assert [value["events"] for value in chart.spec["data"]["values"] if value["name"] == "scratch"] == [2, 31]
    assert render(page)
