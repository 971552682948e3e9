"""``predictions.csv``: what a model says of each record that it was tested on, for people and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seisml.files import write_frame
from seisml.store.identity import text_column

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.tasks.base import Predictions



def write_predictions(path: str | Path, places: pd.DataFrame, answers: pd.DataFrame) -> Path:
    """Write a row for each window that was predicted, in cells that no spreadsheet takes for a formula.

    Args:
        path: The file.
        places: What was predicted, (N rows); see :func:`places_of`.
        answers: What the model says, (N rows); see :meth:`seisml.tasks.base.Task.table`.
    """
    table = pd.concat([places.reset_index(drop=True), answers.reset_index(drop=True)], axis=1)
    return write_frame(path, table)


def places_of(predictions: Predictions, data: StoreDataModule) -> pd.DataFrame:
    """Say where predictions belong.

    Returns:
        ``record`` (its ``trace_name``), ``file`` (it was read from), ``event``, and ``start_s`` (of the window, in s
        from the record's beginning).
    """
    row = predictions.row.numpy()
    metadata = data.ready_store.metadata
    columns = {
        "record": text_column(metadata, "trace_name")[row],
        "file": text_column(metadata, "trace_source_file")[row],
        "event": predictions.event.astype(str),
        "start_s": predictions.start.numpy().astype(np.float64) / data.facts.sampling_rate,
    }
    return pd.DataFrame(columns)
