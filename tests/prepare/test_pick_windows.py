"""Placing labelled windows within records."""

from __future__ import annotations

import numpy as np

from seisml.prepare.pick_windows import WindowOptions, place_windows


def test_window_places():
    options = WindowOptions(length=20, lead=(2, 10), gap=5, noise_windows=1)
    leads, ends = [], []
    for key in range(300):
        windows, reasons = place_windows(9000, 100.0, 4200.3, options, str(key))
        assert [window.label for window in windows] == ["event", "noise"] and not reasons
        leads.append((4200.3 - windows[0].start) / 100)
        ends.append(windows[1].start + 2000)
    assert 2 <= min(leads) < 2.4 and 9.6 < max(leads) <= 10  # spread over the whole range
    assert abs(np.mean(leads) - 6) < 0.5 and max(ends) <= 3700 and min(ends) < 2200
    assert place_windows(9000, 100.0, 4200.3, options, "7") == place_windows(9000, 100.0, 4200.3, options, "7")

    windows, reasons = place_windows(9000, 100.0, 1000.0, options, "k")
    assert [window.label for window in windows] == ["event"] and "noise window" in reasons[0]
    windows, reasons = place_windows(9000, 100.0, 8500.0, options, "k")
    assert [window.label for window in windows] == ["noise"] and "P pick too close" in reasons[0]
    _, reasons = place_windows(9000, 100.0, 4200.0, options, "k", quiet_from=3000.0)  # the coda of an earlier event
    assert "noise window" in reasons[0]
    windows, _ = place_windows(9000, 100.0, None, options, "k")
    assert len(windows) == 4 and {window.label for window in windows} == {None}
    starts = [window.start for window in windows]
    assert min(np.diff(starts)) >= 2000 and starts[-1] + 2000 <= 9000
    assert place_windows(1000, 100.0, None, options, "k") == ([], ["shorter than a window of 20 s"])
