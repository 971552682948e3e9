"""SeisBench's annotate and classify with one of our models: the same probabilities as ours, on real recordings too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from obspy import Stream, UTCDateTime, read

import seisml
from seisml.waveforms.preprocessing import Preprocessing
from tests.continuous_records import START, make_record, make_stream, write_checkpoint

pytest.importorskip("seisbench.models", reason="SeisBench is not installed")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("run"))


def with_steps(checkpoint, path, **steps):
    values = torch.load(checkpoint, weights_only=True)
    values["seisml"]["preprocessing"] = Preprocessing(**steps).to_dict()
    torch.save(values, path)
    return seisml.load(path)


def assert_equal(ours: Stream, theirs: Stream, atol: float) -> None:
    key = ["network", "station", "location", "channel", "starttime"]
    ours, theirs = ours.copy().sort(key), theirs.copy().sort(key)
    assert [trace.id for trace in ours] == [trace.id for trace in theirs] and len(ours)
    for a, b in zip(ours, theirs, strict=True):
        assert abs(a.stats.starttime - b.stats.starttime) < 1e-6 and a.stats.delta == b.stats.delta
        np.testing.assert_allclose(a.data, b.data, atol=atol)


@pytest.mark.parametrize("steps", [{}, {"detrend": "linear"}, {"bandpass": (1.0, 8.0), "detrend": "constant"}])
def test_annotate_equals_ours(checkpoint, tmp_path, steps):
    model = with_steps(checkpoint, tmp_path / "last.ckpt", **steps)
    stream = make_stream(make_record(300, {80.0: "rockfall", 200.0: "earthquake"}, seed=21))
    stream += make_stream(make_record(60, {}, seed=22), station="BBB")
    theirs = model.to_seisbench()
    assert_equal(model.annotate(stream), theirs.annotate(stream), 1e-4)
    assert_equal(model.annotate(stream, step=2.5), theirs.annotate(stream, stride=50), 1e-4)


def test_their_classify_finds_the_events(checkpoint):
    theirs = seisml.load(checkpoint).to_seisbench()
    stream = make_stream(make_record(300, {80.0: "rockfall", 200.0: "earthquake"}, seed=21))
    found = theirs.classify(stream, threshold=0.8).detections
    assert len(found) == 2 and all(detection.trace_id == "XX.AAA." for detection in found)
    assert [abs(found[i].start_time - START - onset) < 10 for i, onset in enumerate((80, 200))] == [True, True]


def test_annotate_equals_ours_on_real_recordings(checkpoint, shared_data, tmp_path):
    """Rockfalls and earthquakes at Luhu, 100 Hz, brought to the network's 20 Hz and filtered."""
    model = with_steps(checkpoint, tmp_path / "last.ckpt", sampling_rate=20.0, bandpass=(1.0, 8.0), detrend="linear")
    files = sorted((shared_data / "luhu_2020").rglob("*.sac"))[:12]
    stream = Stream([trace for file in files for trace in read(str(file))])
    begin = UTCDateTime(int(max(trace.stats.starttime for trace in stream).timestamp) + 60)  # on a whole step
    stream = stream.slice(begin, begin + 240)
    ours, theirs = model.annotate(stream), model.to_seisbench().annotate(stream)
    assert {trace.stats.station for trace in ours} == {trace.stats.station for trace in stream}
    assert_equal(ours, theirs, 1e-3)
    assert max(trace.data.max() - trace.data.min() for trace in ours) > 0.5  # something happens
