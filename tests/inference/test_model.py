"""seisml.load: the numbers of testing and of seisml predict, from arrays and Streams."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from obspy import Stream, Trace, UTCDateTime, read

import seisml
from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.errors import UserError
from seisml.inference.export import export
from seisml.inference.probabilities import read_probabilities
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.record import read_record
from tests.continuous_records import START, make_record, make_stream, write_checkpoint

EVENTS = {100.0: "rockfall", 400.4: "earthquake"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def filtered(checkpoint, tmp_path_factory):
    """A checkpoint whose data were resampled, filtered and straightened."""
    values = torch.load(checkpoint, weights_only=True)
    steps = Preprocessing("interpolate", "ZNE", 20.0, (1.0, 8.0), None, "linear")
    values["seisml"]["preprocessing"] = steps.to_dict()
    path = tmp_path_factory.mktemp("filtered") / "last.ckpt"
    torch.save(values, path)
    return path


def test_import_is_light_and_load_is_there():
    code = "import sys, seisml; seisml.load; print(sorted({'torch', 'obspy', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_annotate_gives_the_probabilities_of_predict(filtered, tmp_path, rate):
    midnight = UTCDateTime(2020, 3, 29)
    stream = make_stream(make_record(900, EVENTS, rate=rate, seed=3), rate, midnight - 300)
    for trace in stream:
        trace.write(str(tmp_path / f"{trace.stats.channel}.mseed"), format="MSEED")
    predict(filtered, [tmp_path], tmp_path / "out", PredictOptions(plots=False, step=2.0))
    files = sorted((tmp_path / "out" / "days").rglob("*.mseed"))
    days = [read_probabilities(file, 3, 2.0) for file in files]
    times, probability = (np.concatenate(parts) for parts in zip(*days, strict=True))
    before = [trace.data.copy() for trace in stream]
    found = seisml.load(filtered).annotate(stream, step=2.0)
    assert [trace.id for trace in found] == [f"XX.AAA..Seisml_{name}" for name in ("earthquake", "noise", "rockfall")]
    for trace in found:
        number = ("noise", "rockfall", "earthquake").index(trace.stats.channel.removeprefix("Seisml_"))
        assert trace.stats.starttime.ns == times[0] + 5 * 10**9 and trace.stats.sampling_rate == 0.5  # middle of 10 s
        np.testing.assert_allclose(trace.data, probability[:, number], atol=1e-6)
    assert all(np.array_equal(trace.data, x) for trace, x in zip(stream, before, strict=True))


def test_events_stand_out_and_gaps_have_no_probability(checkpoint):
    stream = make_stream(make_record(600, EVENTS, seed=8))
    gap = (START + 200, START + 220)
    pieces = stream.slice(endtime=gap[0]) + stream.slice(starttime=gap[1])
    pieces += make_stream(make_record(100, {50.0: "rockfall"}, seed=9), station="BBB")
    model = seisml.load(checkpoint)
    found = model.annotate(pieces)
    assert len(found) == 3 * (2 + 1)
    rockfall = found.select(station="AAA", channel="Seisml_rockfall")
    (peak,) = [trace for trace in rockfall if trace.stats.starttime < gap[0]]
    assert abs(peak.times()[peak.data.argmax()] + 5 - 102) < 6 and peak.data.max() > 0.9
    merged = model.annotate(pieces.copy().merge())  # masked where there is no sample
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, merged, strict=True))
    assert not model.annotate(Stream()) and not model.annotate(make_stream(make_record(5, {})))
    with pytest.raises(UserError, match="components ZNE"):
        model.annotate(Stream([Trace(np.ones(1000), {"station": "AAA", "channel": "HHX"})]))
    with pytest.raises(UserError, match="use 1"):
        model.annotate(stream, step=0.99999)


def test_classify_an_event_as_preparing_and_testing_do(filtered, tmp_path):
    stream = make_stream(make_record(14, {2.0: "earthquake"}, rate=50.0, seed=6), 50.0)
    stream[1].trim(START + 0.5)
    stream.write(str(tmp_path / "event.mseed"), format="MSEED")
    model = seisml.load(filtered)
    record = read_record(tmp_path / "event.mseed", model.preprocessing)
    x = torch.from_numpy(record.waveform)[None]
    batch = {"waveform": x, "epoch": torch.zeros(1).long(), "index": torch.zeros(1).long()}
    with torch.no_grad():
        expected = model.method.predict_log_probability(batch)[0].exp()[0]
    (answer,) = model.classify(read(str(tmp_path / "event.mseed")))
    assert list(answer.probability) == ["noise", "rockfall", "earthquake"]
    assert list(answer.probability.values()) == expected.tolist()
    assert answer.label == max(answer.probability, key=answer.probability.get)
    assert answer.id == "XX.AAA..HHZ;XX.AAA..HHN;XX.AAA..HHE"
    assert answer.start == START + 0.5 and answer.end == START + 0.5 + 9.95


def test_classify_windows_of_a_stream_and_of_arrays(checkpoint):
    model = seisml.load(checkpoint)
    stream = make_stream(make_record(60, {31.0: "rockfall"}, seed=12))
    answers = model.classify(stream, step=10)
    assert [answer.label for answer in answers] == ["noise", "noise", "noise", "rockfall", "noise", "noise"]
    assert [answer.start - START for answer in answers] == [0, 10, 20, 30, 40, 50]
    windows = np.stack([trace.data for trace in stream]).reshape(3, 6, 200).transpose(1, 0, 2)
    rows = model(windows)
    np.testing.assert_allclose(rows, [list(answer.probability.values()) for answer in answers], atol=1e-5)
    same = model.classify(torch.from_numpy(windows))
    assert [a.label for a in same] == [a.label for a in answers] and same[0].start is None
    assert model.classify(windows[3])[0].label == "rockfall"
    for wrong in (windows[:, :2], windows[..., :100], windows[0, 0]):
        with pytest.raises(UserError, match="200 samples at 20 Hz"):
            model(wrong)


def test_streams_that_cannot_be_used_are_one_line(filtered):
    model = seisml.load(filtered)
    stream = make_stream(make_record(30, {}))
    for change, word in {
        "a component": (stream[:2], "missing component E"),
        "nothing": (Stream(), "no samples"),
        "no number": (Stream([Trace(np.full(400, np.nan), trace.stats) for trace in stream]), "NaN"),
    }.values():
        with pytest.raises(UserError, match=word) as caught:
            model.classify(Stream(change))
        assert len(str(caught.value).splitlines()) == 1


def test_the_threshold_of_the_dev_part_says_what_is_an_event(checkpoint, tmp_path):
    values = torch.load(checkpoint, weights_only=True)
    windows = np.stack([make_record(10, {3.0: "rockfall"} if k else {}, seed=k) for k in range(2)])
    assert [answer.is_event for answer in seisml.load(checkpoint).classify(windows)] == [None, None]
    for threshold, expected in ((0.5, [False, True]), (1e-30, [True, True])):
        decision = {"noise_class": "noise", "threshold": threshold, "f1": 0.9, "n_events": 20, "n_noise": 30}
        values["seisml"]["decision"] = decision
        torch.save(values, tmp_path / "last.ckpt")
        model = seisml.load(export(tmp_path / "last.ckpt", tmp_path / f"{threshold}"))
        assert [answer.is_event for answer in model.classify(windows)] == expected
        assert model.decision.threshold == threshold
    values["seisml"]["decision"]["threshold"] = 3.0
    torch.save(values, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="decision.threshold"):
        seisml.load(tmp_path / "last.ckpt")


def test_a_bundle_gives_what_its_checkpoint_gives(filtered, tmp_path):
    stream = make_stream(make_record(120, {50.0: "rockfall"}, seed=2))
    ours = seisml.load(export(filtered, tmp_path / "bundle"))
    theirs = seisml.load(filtered)
    assert ours.classify(stream) == theirs.classify(stream)
    for a, b in zip(ours.annotate(stream), theirs.annotate(stream), strict=True):
        assert np.array_equal(a.data, b.data) and a.id == b.id and a.stats.starttime == b.stats.starttime
    assert repr(ours).startswith("Model(ConvNetQuake of") and "10 s at 20 Hz" in repr(ours)
