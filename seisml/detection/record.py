"""What a prediction was made with: beside its detections, for whoever reads them later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seisml.detection.detections import DetectionRule
from seisml.files import write_text
from seisml.inference.station_day import ScanSettings
from seisml.run.record import versions
from seisml.values.file_names import PREDICTION_FILE


def write_prediction(
    out: Path, streams: Sequence[str | Path], settings: ScanSettings, rule: DetectionRule, any_component: bool
) -> Path:
    """Write ``prediction.json``: what was read, by which model, and what counted as a detection.

    Args:
        out: Output folder.
        streams: Paths as they were given.
        settings: How the records were scanned.
        rule: What counted.
        any_component: The network looks at one trace at a time, so that any component would do.
    """
    grid = settings.grid
    values: dict[str, Any] = {
        "streams": [str(Path(stream).resolve()) for stream in streams],
        "checkpoint": settings.checkpoint,
        "checkpoint_hash": settings.checkpoint_hash,
        "classes": list(rule.classes),
        "events": [rule.classes[number] for number in rule.events],
        "threshold": rule.threshold,
        "min_length_s": rule.min_length,
        "join_s": rule.join,
        "step_s": grid.step,
        "window_s": grid.length,
        "sampling_rate": grid.sampling_rate,
        "any_component": any_component,
        "missing": settings.missing,
        "precision": settings.precision,
        "preprocessing": asdict(settings.preprocessing),
        "versions": versions(),
    }
    return write_text(out / PREDICTION_FILE, json.dumps(values, indent=1) + "\n")
