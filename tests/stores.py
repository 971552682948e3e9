"""Small prepared stores for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisml.store.writer import StoreWriter

SAMPLING_RATE = 100.0


def write_store(
    folder: Path,
    n_events: int = 40,
    n_traces: int = 3,
    n_samples: int = 1000,
    classes: Sequence[str] = "ab",
    unlabelled: int = 0,
    scale: float = 1.0,
    components: str | None = None,
) -> Path:
    """Write events whose class is the frequency of a decaying tone in noise; easy, so that few steps learn it."""
    order = {} if components is None else {"trace_component_order": components}
    generator = np.random.default_rng(0)
    time = np.arange(n_samples) / SAMPLING_RATE
    with StoreWriter(folder, {"test": True}, None) as writer:
        for number in range(n_events + unlabelled):
            kind = number % len(classes)
            tone = np.sin(2 * np.pi * (5 + 15 * kind) * time) * np.exp(-((time - 3) ** 2))
            waveform = (scale * (20 * tone + generator.standard_normal((n_traces, n_samples)))).astype(np.float32)
            label = classes[kind] if number < n_events else "Unlabeled"
            writer.add(
                waveform,
                {
                    "trace_category": label,
                    "source_id": f"event{number:03d}",
                    "trace_source_file": f"{label}/{number:03d}.mseed",
                    "trace_sampling_rate_hz": SAMPLING_RATE,
                    "path_ps_time_s": 1 + number % 7,  # says nothing about the waveform
                    **order,
                },
            )
    return folder


def write_network(
    folder: Path, n_events: int = 20, n_stations: int = 3, n_samples: int = 9000, delay: float = 0.1
) -> Path:
    """Write events of noise that several stations record at the same time, a record each, each begun a little later.

    Args:
        delay: Between the beginnings of an event's records, below 1 s.
    """
    generator = np.random.default_rng(0)
    with StoreWriter(folder, {"test": True}, None) as writer:
        for event in range(n_events):
            for station in range(n_stations):
                row = {
                    "trace_category": "ab"[event % 2],
                    "source_id": f"event{event:03d}",
                    "station_code": f"S{station}",
                    "trace_sampling_rate_hz": SAMPLING_RATE,
                    "trace_start_time": f"2013-01-01T{event // 60:02d}:{event % 60:02d}:{delay * station:09.6f}",
                }
                writer.add(generator.standard_normal((1, n_samples)).astype(np.float32), row)
    return folder
