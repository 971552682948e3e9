"""What is kept of a station-day: probabilities and extremes."""

import numpy as np

from seisml.inference.probabilities import probability_channels, read_probabilities, write_probabilities
from seisml.inference.station_day import Envelope
from tests.continuous_records import START


def test_probabilities_go_there_and_back(tmp_path):
    from seisml.waveforms.index import Instrument

    generator = np.random.default_rng(0)
    p = generator.dirichlet([1, 1], 500).astype(np.float32)
    p[100:150] = np.nan
    times = START.ns + np.arange(500) * 500_000_000
    write_probabilities(tmp_path / "p.mseed", Instrument("XX", "AAA", "", "HH"), times, p, 0.5)
    back_times, back = read_probabilities(tmp_path / "p.mseed", 2, 0.5)
    keep = np.isfinite(p[:, 0])
    assert np.array_equal(back_times, times[keep]) and np.array_equal(back, p[keep])
    assert len(set(probability_channels(500))) == 500 and all(len(code) == 3 for code in probability_channels(500))


def test_envelope_keeps_the_extremes():
    envelope = Envelope(0, (0.0, 86400.0), 4.0)
    x = np.zeros(4 * 86400)
    x[1000:1002] = 9.0, -7.0
    present = np.ones(len(x), bool)
    present[2000:3000] = False
    for first in range(0, len(x), 50_000):
        envelope.add(first, x[first : first + 50_000], present[first : first + 50_000])
    arrays = envelope.arrays()
    assert arrays["high"][250] == 9.0 and arrays["low"][250] == -7.0 and np.isnan(arrays["low"][500:750]).all()
    assert float(arrays["bin"]) == 1.0
