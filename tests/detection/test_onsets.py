"""Onsets on waveforms."""

import numpy as np
import pytest

from seisml.detection.onsets import pick_onset

RATE, LENGTH = 100, 1000


def record(onset, size, seed, n_components=3):
    """40 s of noise with an earthquake-like wave packet from ``onset`` s on."""
    generator = np.random.default_rng(seed)
    time = np.arange(40 * RATE) / RATE - onset
    packet = np.where(time > 0, np.exp(-np.clip(time, 0, None) / 3), 0) * np.sin(2 * np.pi * 6 * time)
    drift = 50 * np.sin(2 * np.pi * 0.15 * np.arange(40 * RATE) / RATE)
    return generator.standard_normal((n_components, 40 * RATE)) + size * packet + drift


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("size", [10.0, 100.0])
def test_onsets_in_noise_and_slow_drift(size, n_components):
    errors, within = [], []
    for seed in range(20):
        onset = 13 + seed / 4
        sample, uncertainty = pick_onset(record(onset, size, seed, n_components), (LENGTH, 2 * LENGTH), LENGTH)
        errors.append(abs(sample / RATE - onset))
        within.append(errors[-1] <= 2 * uncertainty / RATE)
    assert np.median(errors) <= 0.05 and max(errors) < 0.3 and np.mean(within) > 0.8


def test_noise_has_no_onset():
    assert pick_onset(record(13, 0.0, 3), (LENGTH, 2 * LENGTH), LENGTH) is None
    assert pick_onset(np.zeros((3, 4000)), (LENGTH, 2 * LENGTH), LENGTH) is None


def test_dead_components_do_not_count():
    waveform = record(15, 30.0, 1)
    waveform[1:] = 7.0
    sample, _ = pick_onset(waveform, (LENGTH, 2 * LENGTH), LENGTH)
    assert abs(sample / RATE - 15) < 0.1


def test_a_short_search_is_no_search():
    assert pick_onset(record(15, 30.0, 1), (LENGTH, LENGTH + 20), LENGTH) is None
