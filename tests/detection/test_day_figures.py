"""Pictures of station-days: drawn once, however often the command is killed and however many there are."""

from __future__ import annotations

import os

import pytest

from seisml.detection import day_figures
from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from tests.continuous_records import make_record, make_stream, write_checkpoint


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_each_picture_is_drawn_once_and_adds_a_line(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for station in "ABCD":
        make_stream(make_record(120, {}), station=station).write(str(tmp_path / "in" / f"{station}.mseed"))
    checkpoint, drawn, save = write_checkpoint(tmp_path), [], day_figures.save
    ledger = tmp_path / "out" / "figures" / day_figures.LEDGER_FILE
    files = set()

    def saved(figure, path):
        drawn.append(path.name[3])
        files.add(ledger.stat().st_ino if ledger.is_file() else None)
        if len(drawn) == 3:
            raise Killed
        return save(figure, path)

    def command():
        return predict(checkpoint, [tmp_path / "in"], tmp_path / "out", PredictOptions(threshold=0.7))

    monkeypatch.setattr(day_figures, "save", saved)
    with pytest.raises(Killed):
        command()
    assert drawn == list("ABC") and len(files) == 2  # none, then one that grew
    with open(ledger, "r+b") as file:  # killed once more, in the middle of the second line
        file.truncate(os.path.getsize(ledger) - 9)
    command()
    assert drawn == list("ABCBCD")
    command()
    assert drawn == list("ABCBCD") and ledger.read_text().count("\n") == 4
