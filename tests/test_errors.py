"""Errors that a user can mend, on their way from one process to another."""

from __future__ import annotations

import pickle

import pytest

from seisml.errors import SettingError, UserError
from seisml.prepare.download import DownloadError
from seisml.waveforms.preprocessing import WrongStep
from seisml.workers.pool import Worker

ERRORS = [
    UserError("file.csv: row 3"),
    SettingError("exp_params.LR", "exp_params.LR is negative"),
    WrongStep("filter", "is senseless"),
    DownloadError("example.org does not answer"),
]


def fail(error):
    raise error


def kinds(base):
    return {base}.union(*map(kinds, base.__subclasses__()))


def test_every_kind_of_error_is_the_same_in_another_process():
    assert {type(error) for error in ERRORS} == kinds(UserError)
    worker = Worker()
    try:
        for error in ERRORS:
            error.add_note("said on the way")
            with pytest.raises(type(error)) as caught:
                worker.call(fail, error)
            assert str(caught.value) == str(error) and type(caught.value) is type(error)
            alike = pickle.loads(pickle.dumps(error))
            assert vars(alike) == vars(error) and alike.args == error.args
    finally:
        worker.stop()
