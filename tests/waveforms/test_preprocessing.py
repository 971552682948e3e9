from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from seisml.errors import UserError
from seisml.waveforms.preprocessing import Preprocessing

STEPS = Preprocessing("zero", "ZNE", 20.0, (1.0, 5.0), 30.0, "linear", "m/s")


def test_there_and_back_through_json():
    assert Preprocessing.from_dict(json.loads(json.dumps(STEPS.to_dict())), "here") == STEPS
    assert Preprocessing.from_dict(Preprocessing().to_dict(), "here") == Preprocessing()


def test_a_checkpoints_record_of_any_version():
    assert Preprocessing.from_record({"preprocessing": STEPS.to_dict()}, "here") == STEPS
    earlier = {"components": "ZNE", "bandpass": [1.0, 5.0], "detrend": None}
    assert Preprocessing.from_record({"data": earlier}, "here") == Preprocessing(components="ZNE", bandpass=(1.0, 5.0))
    assert not Preprocessing.from_record({}, "here").known and not Preprocessing.from_record({"data": 5}, "here").known


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("ZNE", "is a str, not a mapping"),
        ({"bandpas": [1, 2]}, "no step 'bandpas'; did you mean 'bandpass'"),
        ({"bandpass": [5, 2]}, "bandpass 5 2: want 0 < LOW < HIGH"),
        ({"bandpass": [1, float("nan")]}, "bandpass .*two corners"),
        ({"bandpass": "12"}, "bandpass 12: want two corners"),
        ({"bandpass": [1, 12], "sampling_rate": 20}, "HIGH must be below 10 Hz"),
        ({"bandpass": [1e-9, 1], "sampling_rate": 20}, "takes more than a day to settle"),
        ({"bandpass": [1, 1 + 1e-9], "sampling_rate": 20}, "takes more than a day to settle"),
        ({"sampling_rate": -1}, "sampling_rate -1: must be greater than 0"),
        ({"sampling_rate": 1e300}, "sampling_rate 1e.300"),
        ({"sampling_rate": True}, "sampling_rate True"),
        ({"length": float("inf")}, "length inf: must be greater than 0"),
        ({"length": 1e-3, "sampling_rate": 20}, "shorter than a sample"),
        ({"components": "ZZ"}, "components ZZ: .*without repeats"),
        ({"components": ["Z"]}, "components"),
        ({"detrend": "cubic"}, "detrend cubic"),
        ({"gaps": {"a": 1}}, "gaps"),
        ({"unit": "m\n" * 100}, "unit m m"),
        ({"known": "yes"}, "known yes"),
    ],
)
def test_values_of_hostile_files_are_refused_in_one_line(values, words):
    with pytest.raises(UserError, match=words) as caught:
        Preprocessing.from_dict(values, "store/prepare.json")
    message = str(caught.value)
    assert message.startswith("store/prepare.json: ") and "\n" not in message and len(message) < 250


@pytest.mark.parametrize("steps", [STEPS, replace(STEPS, bandpass=(2.0, 2.3)), replace(STEPS, bandpass=None)])
@pytest.mark.parametrize("rate", [20.0, 50.0, 62.5, 12.5])
def test_a_window_does_not_depend_on_how_long_a_stretch_was_read(steps, rate):
    """With the margin before and behind it, a window equals that of the whole record to 1e-7 of its size."""
    time = np.arange(round(900 * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    x = noise + 1e4 + 30 * time + 1e3 * np.sin(2 * np.pi * 0.05 * time)
    first, n_samples = round(400 * rate), 600
    whole = steps.on_window(steps.part(x, rate, first, n_samples))
    margin = int(np.ceil(steps.margin(rate) * rate))
    part = x[first - margin : first + round(30 * rate) + margin]
    near = steps.on_window(steps.part(part, rate, margin, n_samples))
    assert np.abs(near - whole).max() < 1e-7 * np.abs(x[first : first + round(30 * rate)]).max()
    assert np.abs(near - whole).max() < 1e-5 * np.abs(whole).max()


def test_margin_is_that_of_the_slowest_pole():
    assert Preprocessing(sampling_rate=20.0).margin(20.0) == 0.0
    assert Preprocessing(sampling_rate=20.0).margin(50.0) == 33 / 20
    wide, narrow = (Preprocessing(sampling_rate=20.0, bandpass=(2.0, high)).margin(20.0) for high in (5.0, 2.1))
    assert 3 < wide < 10 and 20 * wide < narrow < 40 * wide


def test_the_trend_goes_last_and_from_many_windows_at_once():
    ramp = 5.0 + 3.0 * np.arange(100.0)
    windows = np.stack([ramp, np.full(100, 7.3)])
    assert np.abs(replace(STEPS, detrend="linear").on_window(windows)).max() < 1e-9
    assert not replace(STEPS, detrend="constant").on_window(windows)[1].any()  # exactly zero
    assert replace(STEPS, detrend=None).on_window(windows) is windows
