"""``seisml predict``: its options, what the checkpoint says, events of several stations, all that it writes."""

import json

import numpy as np
import pytest
import torch
from obspy import UTCDateTime, read, read_events

from seisml.cli import main
from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from tests.continuous_records import START, make_record, make_stream, write_checkpoint
from tests.detection.predicting import QUIET, found, rows, write


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run"))


def test_the_threshold_of_the_checkpoint_counts_where_none_is_given(tmp_path, checkpoint, capsys):
    """Also that of a checkpoint's file which says nonsense, or was chosen for other events."""
    write(tmp_path / "in", "a.mseed", make_stream(make_record(600, {300.0: "rockfall"}, rate=20.0, seed=7), 20.0))
    values = read_checkpoint(checkpoint)
    decision = {"noise_class": "noise", "threshold": 0.7, "f1": 0.9, "n_events": 9, "n_noise": 9}
    torch.save(values | {"seisml": values["seisml"] | {"decision": decision}}, tmp_path / "good.ckpt")
    torch.save(values | {"seisml": values["seisml"] | {"decision": {"threshold": 7}}}, tmp_path / "bad.ckpt")
    unasked = PredictOptions(plots=False, join=2.0)
    same = predict(tmp_path / "good.ckpt", [tmp_path / "in"], tmp_path / "a", unasked)
    assert "threshold 0.7 on the probability of an event" in capsys.readouterr().out
    assert found(same) == found(predict(checkpoint, [tmp_path / "in"], tmp_path / "b", QUIET)) != []
    rockfalls = PredictOptions(plots=False, join=2.0, classes=("rockfall",))
    predict(tmp_path / "good.ckpt", [tmp_path / "in"], tmp_path / "c", rockfalls)
    assert "threshold" not in capsys.readouterr().out
    with pytest.raises(UserError, match="bad.ckpt: decision"):
        predict(tmp_path / "bad.ckpt", [tmp_path / "in"], tmp_path / "d", unasked)


def test_events_of_several_stations(tmp_path, checkpoint, capsys):
    for number, station in enumerate(("AAA", "BBB", "CCC")):
        own = {100.0 + 2 * number: "rockfall", 300.0 + 50 * number: "earthquake"}
        write(
            tmp_path / "in", f"{station}.mseed", make_stream(make_record(600, own, seed=number + 60), station=station)
        )
    out = tmp_path / "out"
    arguments = [
        "predict",
        str(checkpoint),
        str(tmp_path / "in"),
        "--out",
        str(out),
        "--no-plots",
        "--threshold",
        "0.7",
    ]
    assert main([*arguments, "--stations-at-least", "3", "--within", "5", "--quakeml"]) == 0
    assert "1 events of several stations" in capsys.readouterr().out
    (event,) = rows(out / "events.csv")
    assert event["stations"] == "XX.AAA XX.BBB XX.CCC" and event["class"] == "rockfall" and event["n_stations"] == "3"
    assert abs(UTCDateTime(event["time"]) - (START + 100)) < 0.3
    (written,) = read_events(str(out / "events.xml"))
    assert [pick.waveform_id.station_code for pick in written.picks] == ["AAA", "BBB", "CCC"]
    np.testing.assert_allclose([pick.time - START for pick in written.picks], [100, 102, 104], atol=0.3)
    assert len(read_events(str(out / "detections.xml"))) == len(rows(out / "detections.csv")) == 6
    assert main(arguments) == 0 and not (out / "events.csv").exists() and not (out / "events.xml").exists()


def test_a_station_that_detects_all_day_is_remarked_on(tmp_path, checkpoint, capsys):
    quiet, mad = {600.0: "rockfall"}, {20.0 + 40 * number: "earthquake" for number in range(44)}
    for station, own in (("AAA", quiet), ("BBB", quiet), ("BAD", mad)):
        write(tmp_path / "in", f"{station}.mseed", make_stream(make_record(1800, own, seed=7), station=station))
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(tmp_path / "in"), "--out", str(out), "--no-plots"]) == 0
    notes = {row["station"]: row for row in rows(out / "report.csv")}
    assert "detects all day (88 detections an hour, where the other" in notes["BAD"]["notes"]
    assert notes["BAD"]["detections"] == "44" and not notes["AAA"]["notes"] and not notes["BBB"]["notes"]
    assert "XX.BAD..HH.2020.088: detects all day" in capsys.readouterr().out


def test_the_command_writes_everything(tmp_path, checkpoint, capsys):
    write(tmp_path / "in", "a.mseed", make_stream(make_record(600, {100.0: "rockfall", 400.0: "earthquake"}, seed=9)))
    out = tmp_path / "out"
    arguments = ["predict", str(checkpoint), str(tmp_path / "in"), "--out", str(out), "--quakeml", "--join", "2"]
    assert main([*arguments, "--threshold", "0.7"]) == 0
    said = capsys.readouterr().out
    assert ["XX.AAA..HH", "1", "591", "1", "1"] in [line.split() for line in said.splitlines()]
    assert "detections.csv" in said
    table = rows(out / "detections.csv")
    assert [row["class"] for row in table] == ["rockfall", "earthquake"]
    assert table[0]["network"] == "XX" and table[0]["start"] < table[0]["peak_time"] < table[0]["end"]
    assert table[0]["onset_by"] == "picker" and abs(UTCDateTime(table[0]["onset"]) - (START + 100)) < 0.3
    events = read_events(str(out / "detections.xml"))
    assert [event.comments[0].text for event in events] == ["class rockfall", "class earthquake"]
    (pick,) = events[0].picks
    assert pick.waveform_id.station_code == "AAA" and pick.time == UTCDateTime(table[0]["onset"])
    assert 0 < pick.time_errors.uncertainty == pytest.approx(float(table[0]["onset_uncertainty_s"]))
    stream = read(str(out / "days" / "XX.AAA..HH" / "2020.088.mseed"))
    assert [trace.stats.channel for trace in stream] == ["P00", "P01", "P02"] and len(stream[0]) == 591
    assert stream[0].stats.starttime == START and stream[0].stats.sampling_rate == 1.0
    about = json.loads((out / "prediction.json").read_text(encoding="utf-8"))
    assert about["threshold"] == 0.7 and about["events"] == ["rockfall", "earthquake"] and about["window_s"] == 10
    assert about["streams"] == [str(tmp_path / "in")] and about["versions"]["seisml"]
    day = json.loads((out / "days" / "XX.AAA..HH" / "2020.088.json").read_text(encoding="utf-8"))
    assert day["files"] == [str(tmp_path / "in" / "a.mseed")]
    picture = out / "figures" / "XX.AAA..HH.2020.088.png"
    drawn = picture.stat().st_mtime_ns
    assert main([*arguments, "--threshold", "0.7"]) == 0 and picture.stat().st_mtime_ns == drawn
    assert main([*arguments, "--threshold", "0.9999999"]) == 0 and picture.stat().st_mtime_ns > drawn
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--components", "ZN"], "--components: ZN are 2"),
        (["--components", "ZNN"], "without repeats"),
        (["--bandpass", "5", "50"], "--bandpass"),
        (["--step", "0.01"], "--step"),
        (["--classes", "quake"], "--classes"),
        (["--stations-at-least", "1"], "--stations-at-least"),
        (["--within", "0"], "--within"),
        (["--workers", "2"], "--scheduler local"),
        (["--device", "gpu"], "--device: there is no 'gpu'"),
        (["--tresh", "2"], "--threshold"),
        (["--precision", "bfloat16", "--threshold", "0.01"], "--precision float32"),
        (["--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, checkpoint, capsys, monkeypatch, options, words):
    write(tmp_path, "a.mseed", make_stream(make_record(30, {})))
    if "tcp" in options[-1]:
        pytest.importorskip("distributed")
        monkeypatch.setattr("seisml.workers.cluster.ANSWER", 0.5)
        options = [*options, "--no-plots"]
    out = str(tmp_path / "out")
    assert main(["predict", str(checkpoint), str(tmp_path / "a.mseed"), "--out", out, *options]) == 2
    message = capsys.readouterr().err.strip()
    assert words in message.splitlines()[-1]


@pytest.mark.long
def test_a_cluster_of_two_processes_gives_the_same(tmp_path, checkpoint):
    pytest.importorskip("distributed")
    folder = tmp_path / "in"
    for number, station in enumerate(("AAA", "BBB", "CCC")):
        x = make_record(400, {100.0 + 30 * number: "earthquake"}, seed=number + 40)
        write(folder, f"{station}.mseed", make_stream(x, station=station, start=START + 86400 * number))
    here = predict(checkpoint, [folder], tmp_path / "here", QUIET)
    spread = PredictOptions(plots=False, threshold=0.7, join=2.0, scheduler="local", workers=2)
    there = predict(checkpoint, [folder], tmp_path / "there", spread)
    assert there["computed"] == 3 and len(found(here)) == 3 and found(here) == found(there)
    assert predict(checkpoint, [folder], tmp_path / "there", spread)["computed"] == 0


def with_record(checkpoint, path, **said):
    values = torch.load(checkpoint, weights_only=True)
    values["seisml"] |= said
    torch.save(values, path)
    return path


@pytest.mark.parametrize("key", ["preprocessing", "data"])  # checkpoints of earlier versions say it as data
def test_the_filter_that_the_checkpoint_was_trained_with_is_applied(tmp_path, checkpoint, key):
    with_record(checkpoint, tmp_path / "filtered.ckpt", **{key: {"bandpass": [1.0, 8.0], "components": "ZNE"}})
    x = make_record(400, {100.0: "earthquake"}, seed=3)
    x += 1e5 * np.sin(2 * np.pi * 0.1 * np.arange(x.shape[1]) / 20.0)  # microseism that drowns everything
    write(tmp_path / "in", "a.mseed", make_stream(x.astype(np.float32)))
    plain = predict(checkpoint, [tmp_path / "in"], tmp_path / "plain", QUIET)
    filtered = predict(tmp_path / "filtered.ckpt", [tmp_path / "in"], tmp_path / "filtered", QUIET)
    assert [d.label for d in found(plain)] != ["earthquake"]
    assert any(d.label == "earthquake" and d.start < (START + 102).ns < d.end for d in found(filtered))
    assert filtered["preprocessing"].bandpass == (1.0, 8.0) and not plain["preprocessing"].known


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"bandpass": [1e-9, 5.0]}, "bandpass"),
        ({"bandpass": [[1], 5.0]}, "bandpass"),
        ({"detrend": {"os.system": "x"}}, "detrend"),
        ({"components": 7}, "components"),
        ({"sampling_rate": float("inf")}, "sampling_rate"),
        (["ZNE"], "not a mapping"),
    ],
)
def test_a_checkpoint_with_a_senseless_preprocessing_is_refused(tmp_path, checkpoint, capsys, said, words):
    path = with_record(checkpoint, tmp_path / "x.ckpt", preprocessing=said)
    write(tmp_path, "a.mseed", make_stream(make_record(30, {})))
    assert main(["predict", str(path), str(tmp_path / "a.mseed"), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err.strip()
    assert words in message and len(message.splitlines()) == 1 and len(message) < 300


def test_nothing_to_predict_is_said(tmp_path, checkpoint):
    with pytest.raises(UserError, match="no such file or folder"):
        predict(checkpoint, [tmp_path / "x"], tmp_path / "out", QUIET)
