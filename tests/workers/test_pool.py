"""Processes that may die: whose call it was, in what order results come, and that nothing outlives its user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from seisml.workers import pool
from seisml.workers.pool import Failed, Worker, in_order


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def test_arrays_and_errors_come_back(worker):
    np.testing.assert_array_equal(worker.call(np.arange, 6), np.arange(6))
    assert worker.call(np.sum, np.ones((3, 2))) == 6
    result = worker.call(np.zeros, (2, 3))
    result += 1  # not read-only
    with pytest.raises(ValueError, match="invalid literal") as caught:
        worker.call(int, "a")
    assert "Traceback" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="cannot pickle"):
        worker.call(threading.Lock)


def test_a_death_and_a_hang_end_one_call(worker):
    first = worker.call(os.getpid)
    with pytest.raises(Failed, match="crashed"):
        worker.call(os._exit, 0)
    with pytest.raises(Failed, match="did not finish within 0.3 s"):
        worker.call(time.sleep, 60, limit=0.3)
    assert worker.call(os.getpid) not in (first, os.getpid())


def test_a_crash_costs_one_item(monkeypatch):
    monkeypatch.setattr(pool, "NEXT_PROCESS", 0.0)
    items = [9 if number in (0, 30, 31, 39) else 0 for number in range(40)]  # signal 9 kills, signal 0 does nothing
    results = list(in_order(signal.raise_signal, items, 2, lambda item, reason: f"{item} {reason[:18]}"))
    assert results == ["9 the reader crashed" if item else None for item in items]


def test_results_come_in_order_and_few_are_in_flight(monkeypatch):
    monkeypatch.setattr(pool, "NEXT_PROCESS", 0.0)
    asked = []
    delays = [0.2 if number % 7 == 0 else 0.0 for number in range(30)]
    results = in_order(time.sleep, delays, 2, lambda *_: "failed", lambda item: asked.append(item) or 60.0)
    next(results)
    assert len(asked) <= 1 + pool.IN_FLIGHT * 2
    assert list(results) == [None] * 29
    assert list(in_order(abs, [-3, 2, -1], 8, lambda *_: 0)) == [3, 2, 1]
    assert list(in_order(abs, [], 2, lambda *_: 0)) == []


def test_items_that_were_given_up_have_not_failed():
    told = []
    results = in_order(time.sleep, [0, 60], 1, lambda *item: told.append(item))
    assert next(results) is None
    time.sleep(0.2)  # the second call is under way
    results.close()
    assert told == []


def test_nothing_runs_here_however_few():
    (pid,) = in_order(_pid, [None], 1, lambda *_: os.getpid())
    assert pid != os.getpid()


def _pid(_):
    return os.getpid()


@pytest.mark.parametrize("end", ["kill", "interrupt", "leave"])
def test_processes_end_with_their_user(tmp_path, end):
    code = (
        "import os, sys, time; from seisml.workers import pool; pool.NEXT_PROCESS = 0\n"
        "w = pool.Worker(); print(w.call(os.getpid), flush=True)\n"
        "try:\n    for pid in pool.in_order(print if 0 else time.sleep, [0, 0, 60, 60], 2, print):\n"
        "        print('one', flush=True)\n        if sys.argv[1] == 'leave': break\n"
        "except KeyboardInterrupt: sys.exit(7)\n"
    )
    user = subprocess.Popen([sys.executable, "-c", code, end], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True, text=True)  # fmt: skip
    user.stdout.readline(), user.stdout.readline()
    if end == "kill":
        user.kill()
    elif end == "interrupt":
        os.killpg(user.pid, signal.SIGINT)
    _, error = user.communicate(timeout=30)
    assert user.returncode == {"kill": -9, "interrupt": 7, "leave": 0}[end]
    assert error == ""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(user.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process outlived its user")


def test_a_user_without_a_guard_and_a_daemon(tmp_path):
    """A script without ``if __name__ == "__main__"`` is not run again, and daemonic processes (Dask's) may read."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, os\nfrom seisml.workers.pool import Worker\nprint('once')\n"
        "def daemon():\n    assert Worker().call(abs, -3) == 3\n"
        "p = multiprocessing.get_context('fork').Process(target=daemon, daemon=True); p.start(); p.join()\n"
        "print(p.exitcode, Worker().call(abs, -4))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert (done.stdout, done.stderr) == ("once\n0 4\n", "")


def test_a_process_that_cannot_start_is_no_damaged_file(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="could not be started"):
        Worker().call(abs, 1)
