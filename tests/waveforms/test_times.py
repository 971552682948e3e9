import numpy as np

from seisml.waveforms.times import DAY_NS, format_day, format_time


def test_times_as_text():
    assert format_day(18349 * DAY_NS) == "2020.088"
    assert format_time(18349 * DAY_NS + 1_234_567_890) == "2020-03-28T00:00:01.235Z"
    assert format_time(np.int64(18349 * DAY_NS)) == "2020-03-28T00:00:00.000Z"
