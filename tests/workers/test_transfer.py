"""Arrays between two processes: whole, writable, and from whichever thread they are asked for."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from seisml.workers.pool import Failed, Worker
from seisml.workers.transfer import packed, receive, send, unpacked


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def test_every_array_arrives_as_it_was():
    value = {
        "odd": np.arange(7, dtype=np.int8), "empty": np.zeros((0, 3)), "nothing": np.arange(0), "name": "é",
        "large": np.arange(2**20, dtype=np.float64).reshape(4, -1), "fortran": np.asfortranarray(np.eye(5)),
        "strided": np.arange(100)[::3],
    }  # fmt: skip
    receiving, sending = (os.fdopen(end, mode, 0) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    thread = threading.Thread(target=send, args=(sending, packed(value)))
    thread.start()
    found = unpacked(receive(receiving))
    thread.join()
    sending.close()
    with pytest.raises(EOFError):
        receive(receiving)
    receiving.close()
    assert found["name"] == "é"
    for name in value.keys() - {"name"}:
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].dtype == value[name].dtype
        assert found[name].flags.writeable


def test_a_process_that_is_ended_while_it_sends_has_failed(worker):
    worker.call(abs, 1)
    killer = threading.Timer(0.05, worker.start().kill)
    killer.start()
    with pytest.raises(Failed, match="crashed"):
        for _ in range(1000):
            worker.call(np.ones, 2**22)
    assert worker.call(abs, -2) == 2


def test_calls_of_several_threads_wait_for_one_another(worker):
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append((n, worker.call(_late, n)))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(n, n) for n in range(6)]


def _late(number):
    time.sleep(0.01)
    return number
