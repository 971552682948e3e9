"""Recordings for ``seisml predict``, and what it has found in them."""

import csv

from seisml.detection.options import PredictOptions
from tests.continuous_records import START

QUIET = PredictOptions(plots=False, threshold=0.7, join=2.0)


def write(folder, name, stream, format="MSEED"):
    folder.mkdir(parents=True, exist_ok=True)
    stream.write(str(folder / name), format=format)


def found(result):
    return [d for _, d in result["detections"]]


def onsets(detections):
    """In s from the start of the record."""
    return [(d.onset - START.ns) * 1e-9 for d in detections]


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
