"""Station-days: files and midnights between them, what is done already, what fails or is left out."""

import json

import numpy as np
import pytest
from obspy import UTCDateTime

from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from tests.continuous_records import START, make_record, make_stream, write_checkpoint
from tests.detection.predicting import QUIET, found, onsets, rows, write

EVENTS = {300.0: "rockfall", 1000.4: "earthquake", 1795.0: "rockfall", 3000.0: "earthquake"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_events_are_found_the_same_in_one_file_and_in_many(tmp_path, checkpoint, rate):
    x = make_record(3600, EVENTS, rate=rate, seed=77)
    write(tmp_path / "one", "a.mseed", make_stream(x, rate))
    n = round(600 * rate)
    for number in range(6):
        for trace in make_stream(x[:, number * n : (number + 1) * n], rate, START + 600 * number):
            write(tmp_path / "many", f"{number}.{trace.stats.channel}.sac", trace, "SAC")
    one = predict(checkpoint, [tmp_path / "one"], tmp_path / "out1", QUIET)
    many = predict(checkpoint, [tmp_path / "many"], tmp_path / "out2", QUIET)
    assert [d.label for d in found(one)] == list(EVENTS.values())
    np.testing.assert_allclose(onsets(found(one)), list(EVENTS), atol=0.3)
    assert all(d.picked and d.start <= d.onset < d.end and d.onset_uncertainty <= 0.5 for d in found(one))
    assert found(one) == found(many)
    assert (tmp_path / "out1" / "detections.csv").read_text() == (tmp_path / "out2" / "detections.csv").read_text()
    low = predict(
        checkpoint, [tmp_path / "one"], tmp_path / "out3",
        PredictOptions(plots=False, threshold=0.7, join=2.0, precision="bfloat16"),
    )  # fmt: skip
    assert found(low) == found(one)


def test_detections_over_midnight_and_days_that_are_done(tmp_path, checkpoint):
    midnight = UTCDateTime(2020, 3, 29)
    x = make_record(1200, {597.0: "earthquake", 900.0: "rockfall"}, seed=5)
    write(tmp_path / "in", "a.mseed", make_stream(x[:, :12000], start=midnight - 600))
    write(tmp_path / "in", "b.mseed", make_stream(x[:, 12000:], start=midnight))
    out = tmp_path / "out"
    first = predict(checkpoint, [tmp_path / "in"], out, QUIET)
    assert first["computed"] == 2 and [d.label for d in found(first)] == ["earthquake", "rockfall"]
    assert found(first)[0].start < midnight.ns < found(first)[0].end
    windows = sum(report.n_windows for report in first["reports"].values())
    assert windows == 1191  # none lost at midnight, none twice
    again = predict(checkpoint, [tmp_path / "in"], out, QUIET)
    assert again["computed"] == 0 and found(again) == found(first)
    (out / "days" / "XX.AAA..HH" / "2020.089.json").unlink()  # as if stopped before the second day was done
    assert predict(checkpoint, [tmp_path / "in"], out, QUIET)["computed"] == 1
    stricter = predict(checkpoint, [tmp_path / "in"], out, PredictOptions(plots=False, min_length=1000))
    assert stricter["computed"] == 0 and not found(stricter)
    assert predict(checkpoint, [tmp_path / "in"], out, PredictOptions(plots=False, step=2))["computed"] == 2
    write(tmp_path / "in", "b.mseed", make_stream(x[:, 12000:], start=midnight, station="BBB"))
    changed = predict(checkpoint, [tmp_path / "in"], out, PredictOptions(plots=False, step=2))
    assert changed["computed"] == 2 and changed["reports"]["XX.BBB..HH.2020.089"].n_windows == 296


def test_an_onset_at_midnight_and_at_the_start_of_the_record(tmp_path, checkpoint):
    midnight = UTCDateTime(2020, 3, 29)
    x = make_record(1200, {3.0: "rockfall", 599.0: "earthquake"}, seed=15)
    write(tmp_path / "one", "a.mseed", make_stream(x, start=midnight - 600))
    write(tmp_path / "two", "a.mseed", make_stream(x[:, :12000], start=midnight - 600))
    write(tmp_path / "two", "b.mseed", make_stream(x[:, 12000:], start=midnight))
    one = found(predict(checkpoint, [tmp_path / "one"], tmp_path / "out1", QUIET))
    assert found(predict(checkpoint, [tmp_path / "two"], tmp_path / "out2", QUIET)) == one
    early, late = one
    assert abs((late.onset - midnight.ns) * 1e-9 + 1) < 0.3 and late.picked
    assert abs((early.onset - midnight.ns) * 1e-9 + 597) < 0.75  # three seconds of noise are not much


def test_an_output_folder_among_the_streams_is_left_out(tmp_path, checkpoint):
    write(tmp_path, "a.mseed", make_stream(make_record(60, {})))
    for computed in (1, 0):
        result = predict(checkpoint, [tmp_path], tmp_path / "out", QUIET)
        assert result["computed"] == computed and len(result["reports"]) == 1


def test_everything_left_out_is_reported(tmp_path, checkpoint):
    folder, x = tmp_path / "in", make_record(120, {60.0: "earthquake"})
    write(folder, "gap.mseed", make_stream(x[:, :800]) + make_stream(x[:, 1000:], start=START + 50))
    write(folder, "short.mseed", make_stream(x[:, :100], station="SHORT"))
    write(folder, "zonly.mseed", make_stream(x[:1], channels="Z", station="ZONLY"))
    flat = x.copy()
    flat[1] = 3.0
    write(folder, "flat.mseed", make_stream(flat, station="FLAT"))
    write(folder, "odd.mseed", make_stream(x[:1], channels="D", station="ODD"))
    (folder / "notes.txt").write_text("no waveform")
    result = predict(checkpoint, [folder], tmp_path / "out", QUIET)
    report = {row["station"]: row for row in rows(tmp_path / "out" / "report.csv")}
    assert report["AAA"]["status"] == "done" and report["AAA"]["windows"] == str(31 + 61)
    assert "Z: without samples for 10 of 120 s" in report["AAA"]["notes"]
    assert "19 windows in 1 place not predicted" in report["AAA"]["notes"]
    assert report["SHORT"]["status"] == "empty" and "no window of 10 s" in report["SHORT"]["notes"]
    assert report["ZONLY"]["status"] == "empty" and "N: missing" in report["ZONLY"]["notes"]
    assert report["FLAT"]["status"] == "empty" and "N: flat parts left out" in report["FLAT"]["notes"]
    assert "ODD" in report[""]["notes"] or "notes.txt" in report[""]["notes"]
    assert len(result["skipped"]) == 2
    zeros = predict(checkpoint, [folder], tmp_path / "zeros", PredictOptions(plots=False, missing="zeros"))
    assert zeros["reports"]["XX.ZONLY..HH.2020.088"].status == "done"
    assert zeros["reports"]["XX.FLAT..HH.2020.088"].n_windows == 111


def test_a_failing_day_does_not_end_the_others(tmp_path, checkpoint, monkeypatch):
    from seisml.inference import archive

    folder = tmp_path / "in"
    for station in ("AAA", "BBB"):
        write(folder, f"{station}.mseed", make_stream(make_record(60, {}), station=station))
    run_day = archive.run_day

    def failing(task, *arguments):
        if task.instrument.station == "AAA":
            raise MemoryError("no room")
        return run_day(task, *arguments)

    monkeypatch.setattr(archive, "run_day", failing)
    result = predict(checkpoint, [folder], tmp_path / "out", QUIET)
    assert [report.status for report in result["reports"].values()] == ["failed", "done"]
    assert "MemoryError: no room" in result["reports"]["XX.AAA..HH.2020.088"].notes[-1]
    monkeypatch.undo()
    assert predict(checkpoint, [folder], tmp_path / "out", QUIET)["computed"] == 1


def test_a_damaged_report_is_computed_again(tmp_path, checkpoint):
    write(tmp_path / "in", "a.mseed", make_stream(make_record(60, {})))
    predict(checkpoint, [tmp_path / "in"], tmp_path / "out", QUIET)
    report = tmp_path / "out" / "days" / "XX.AAA..HH" / "2020.088.json"
    assert json.loads(report.read_text())["report"]["n_windows"] == 51
    report.write_text("{")
    assert predict(checkpoint, [tmp_path / "in"], tmp_path / "out", QUIET)["computed"] == 1
