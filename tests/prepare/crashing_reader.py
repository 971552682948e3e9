"""A reader that dies on one file, as a C library may; a module of its own, so that workers start fast."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.read import Bounds
from seisml.waveforms.record import Record


def read(path: Path, preprocessing: Preprocessing, bounds: Bounds) -> Record | str:
    if path.name == "0003.mseed":
        os._exit(1)
    return Record(np.zeros((1, 1), np.float32), {})
