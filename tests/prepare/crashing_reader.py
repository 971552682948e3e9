"""A reader that dies on one file, as a C library may; a module of its own, so that workers start fast."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.record import Record
from seisml.waveforms.sac_header import DepthUnit
from seisml.waveforms.traces import Bounds


def read(paths: Sequence[Path], preprocessing: Preprocessing, bounds: Bounds, sac_depth: DepthUnit) -> Record:
    if any(path.name == "0003.mseed" for path in paths):
        os._exit(1)
    return Record(np.zeros((1, 1), np.float32), {})
