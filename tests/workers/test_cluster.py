"""A Dask cluster of real processes: bounded work in flight, workers that die, a scheduler that goes, Ctrl-C."""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seisml.errors import UserError
from seisml.workers import cluster as cluster_module
from seisml.workers.cluster import AHEAD, open_cluster

pytest.importorskip("distributed")
pytestmark = pytest.mark.long
WORKERS = 2


def note(number: int, folder: Path, seconds: float = 0.0) -> int:
    """Leave a file for every time that the item is worked on, named after the item and the process."""
    (folder / f"{number}-{os.getpid()}-{uuid.uuid4().hex}").touch()
    time.sleep(seconds)
    return number * number


def fail(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    if number == 5:
        raise UserError("five: leave it out")
    return number


def pages_of_arrays(n_arrays: int) -> int:
    """Pages that the kernel hands out while so many arrays of 8 MiB come and go."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n_arrays):
        np.ones(2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def times(folder: Path) -> dict[int, int]:
    """How often each item was worked on."""
    numbers = [int(path.name.split("-")[0]) for path in folder.iterdir()]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


def test_items_are_taken_as_they_can_be_worked_on(dask_cluster, tmp_path):
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    most, done = 0, {}
    with open_cluster(dask_cluster) as cluster:
        for number, result in cluster.each(partial(note, folder=tmp_path), items()):
            done[number] = result
            most = max(most, len(taken) - len(done))
        # of one thing after the other, the finished ones too wait for the slowest
        assert list(cluster.in_order(partial(note, folder=tmp_path), range(20))) == [n * n for n in range(20)]
    assert done == {number: number * number for number in range(40)}
    assert 0 < most <= AHEAD * WORKERS
    assert times(tmp_path) == {number: 2 if number < 20 else 1 for number in range(40)}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_a_worker_keeps_the_memory_of_the_array_before(dask_cluster):
    array = 8 * 2**20 // resource.getpagesize()
    with open_cluster(dask_cluster) as cluster:
        for _, pages in cluster.each(pages_of_arrays, [50, 50]):
            assert pages < 5 * array


def test_nothing_stays_on_the_workers(dask_cluster, tmp_path):
    with open_cluster(dask_cluster) as cluster:
        for _ in cluster.each(partial(note, folder=tmp_path), range(10)):
            pass
        deadline = time.monotonic() + 10
        while any(cluster._client.has_what().values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(cluster._client.has_what().values())


def test_an_error_is_the_items_own_and_bad_input_ends_all(dask_cluster):
    with open_cluster(dask_cluster) as cluster:
        results = dict(cluster.each(fail, range(5)))
        assert isinstance(results.pop(3), ValueError) and results == {0: 0, 1: 1, 2: 2, 4: 4}
        with pytest.raises(UserError, match="five"):
            list(cluster.each(fail, range(10)))
        with pytest.raises(ValueError, match="three"):
            list(cluster.in_order(fail, range(5)))


def test_a_killed_worker_costs_what_it_was_at(dask_cluster, tmp_path):
    killed = None
    with open_cluster(dask_cluster) as cluster:
        for _ in cluster.each(partial(note, folder=tmp_path, seconds=0.3), range(12)):
            if killed is None:
                running = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
                number, killed = (int(word) for word in running.name.split("-")[:2])
                os.kill(killed, signal.SIGKILL)
    count = times(tmp_path)
    assert sorted(count) == list(range(12))
    # what had just been finished, and not been fetched, may be done again beside the one that was interrupted
    assert count[number] == 2 and sum(count.values()) <= 14 and max(count.values()) == 2


def test_another_version_on_a_worker_is_one_line(dask_cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "__version__", "0.0.1")
    with pytest.raises(UserError, match=r"worker at tcp://.* has \d.*this is seisml 0.0.1"), open_cluster(dask_cluster):
        pass
    monkeypatch.setattr(cluster_module.Cluster, "check", lambda self: None)  # as if it came later
    with open_cluster(dask_cluster) as cluster, pytest.raises(UserError, match="install the same"):
        list(cluster.each(abs, [-1]))


def test_a_scheduler_that_goes_is_one_line(tmp_path):
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard",
               "--scheduler-file", str(tmp_path / "scheduler.json")]  # fmt: skip
    scheduler = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "scheduler.json").is_file() or not (tmp_path / "scheduler.json").stat().st_size:
            time.sleep(0.05)
        address = json.loads((tmp_path / "scheduler.json").read_text())["address"]
        with open_cluster(address) as cluster, pytest.raises(UserError, match="is gone; what is finished is kept"):
            results = cluster.each(abs, killing(scheduler))
            list(results)
    finally:
        scheduler.kill()
        scheduler.wait()


def killing(process):
    yield -1
    process.kill()
    process.wait()
    yield -2


def test_ctrl_c_ends_a_local_cluster_in_silence(tmp_path):
    code = (
        "import sys, time; from functools import partial; from pathlib import Path\n"
        "from seisml.workers.cluster import open_cluster\n"
        "from tests.workers.test_cluster import note\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with open_cluster('local', 2) as cluster:\n"
        f"            for _ in cluster.each(partial(note, folder=Path({str(tmp_path)!r}), seconds=1), range(99)):\n"
        "                print('one', flush=True)\n"
        "    except KeyboardInterrupt: sys.exit(7)\n"
    )
    script = tmp_path.parent / "script.py"
    script.write_text(code)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    user = subprocess.Popen([sys.executable, script], **pipes, env=environment, start_new_session=True)
    assert user.stdout.readline() == "one\n"
    os.killpg(user.pid, signal.SIGINT)
    _, error = user.communicate(timeout=60)
    assert (user.returncode, error) == (7, "")
    before = times(tmp_path)
    time.sleep(1.5)
    assert times(tmp_path) == before and sum(before.values()) <= 2 * AHEAD * 2
