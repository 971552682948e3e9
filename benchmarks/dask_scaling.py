"""Predicting and preparing an archive on a Dask cluster of one and of two worker processes, in one run.

    python benchmarks/dask_scaling.py [--stations 2] [--days 4] [--hours 24] [--repeats 2]

A synthetic SDS archive: three components at 100 Hz, Steim-2, a file for each day and channel. `seisml predict` runs
ConvNetQuake (weights drawn at random; speed does not depend on them) over windows of 10 s every second, `seisml prepare
catalog` cuts 90 s of every station around an event every twenty minutes. Each is timed as a user waits for it, from the
headers to the tables or the store, on workers that are warm; the best of --repeats, one and two workers in turn. Where
others compute beside it, two workers get more than one does, and the ratio says little: processor seconds of the
workers say more. Beside it: the most memory of a worker with the process that reads for it, what a task costs that does
nothing, and the bytes of a task.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from distributed import Client, LocalCluster
from obspy import Stream, Trace, UTCDateTime
from obspy.core.event import Catalog, Event, Origin, ResourceIdentifier
from omegaconf import OmegaConf

from seisml.cli import main as seisml
from seisml.detection.options import PredictOptions
from seisml.detection.predict import predict
from seisml.run.build import build_method
from seisml.run.precision import device_name
from seisml.tasks.facts import DataFacts
from seisml.waveforms.streams import index_streams, station_days
from seisml.workers.cluster import AHEAD, open_cluster

RATE, LENGTH = 100.0, 1000
CLASSES = ("noise", *(f"cluster {i}" for i in range(1, 7)))
START = UTCDateTime(2020, 3, 28)
CONFIG = {
    "model_params": {"_target_": "seisml.methods.convnetquake.ConvNetQuake"},
    "exp_params": {},
    "front_end": {"_target_": "seisml.transforms.waveform.WaveformFrontEnd", "normalize": "std"},
    "seed": 0,
}
NOTHING = 200  # tasks that do nothing


def write_archive(folder: Path, stations: int, days: int, hours: float) -> float:
    """Write the archive and its catalogue; returns the MiB of a station-day."""
    n_samples, generator = round(hours * 3600 * RATE), np.random.default_rng(0)
    for station in range(stations):
        for day in range(days):
            start = START + 86400 * day
            for component in "ZNE":
                samples = np.rint(500 * generator.standard_normal(n_samples, dtype=np.float32)).astype(np.int32)
                header = {"network": "XX", "station": f"S{station:03d}", "channel": f"HH{component}"}
                trace = Trace(samples, {**header, "sampling_rate": RATE, "starttime": start})
                path = folder / "sds" / f"{start.year}/XX/S{station:03d}/HH{component}.D"
                path.mkdir(parents=True, exist_ok=True)
                Stream([trace]).write(str(path / f"{trace.id}.D.{start.year}.{start.julday:03d}"), "MSEED")
    n_bytes = sum(path.stat().st_size for path in (folder / "sds").rglob("*.D.*") if path.is_file())
    catalog = Catalog()
    for day in range(days):
        for minute in range(10, round(60 * hours) - 5, 20):
            event = Event(resource_id=ResourceIdentifier(f"quakeml:benchmark/{day}.{minute}"))
            event.origins = [Origin(time=START + 86400 * day + 60 * minute, latitude=46.0, longitude=8.0)]
            catalog.append(event)
    catalog.write(str(folder / "events.xml"), "QUAKEML")
    return n_bytes / 2**20 / stations / days


def write_checkpoint(path: Path) -> None:
    """A checkpoint of ConvNetQuake as training writes it."""
    torch.manual_seed(0)
    method = build_method(OmegaConf.create(CONFIG), DataFacts(CLASSES, RATE, LENGTH))
    record = {"config": CONFIG, "facts": method.facts.to_dict(), "front_end": CONFIG["front_end"], "in_channels": 3}
    torch.save({"state_dict": method.state_dict(), "seisml": record}, path)


class Watch:
    """Looks at the workers five times a second, with the processes that read for them; a context manager.

    Attributes:
        memory: MiB of the largest worker.
        cpu: Seconds of processor that all of them have used since the start.
    """

    def __init__(self, address: str) -> None:
        with Client(address, set_as_default=False) as client:
            self._workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        self.memory, self.cpu = 0.0, 0.0
        self._before: dict[psutil.Process, float] = {}
        self._now: dict[psutil.Process, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _look(self) -> dict[psutil.Process, float]:
        used = {}
        for worker in self._workers:
            held = 0
            for process in (worker, *worker.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
                    used[process] = sum(process.cpu_times()[:2])
            self.memory = max(self.memory, held / 2**20)
        return used

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self._now |= self._look()

    def __enter__(self) -> Watch:
        self._before = self._look()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._now |= self._look()
        self.cpu = sum(used - self._before.get(process, 0.0) for process, used in self._now.items())


def run_predict(folder: Path, address: str) -> None:
    options = PredictOptions(plots=False, threshold=0.999, scheduler=address)
    result = predict(folder / "random.ckpt", [folder / "sds"], folder / "out", options)
    assert result["computed"] == len(result["tasks"])
    shutil.rmtree(folder / "out")


def run_prepare(folder: Path, address: str) -> None:
    places = [str(folder / "sds"), str(folder / "events.xml"), "--out", str(folder / "out")]
    assert seisml(["prepare", "catalog", *places, "--scheduler", address]) == 0
    shutil.rmtree(folder / "out")


def clock(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stations", type=int, default=2, help="stations (default: 2)")
    parser.add_argument("--days", type=int, default=4, help="days (default: 4)")
    parser.add_argument("--hours", type=float, default=24.0, help="hours of each day (default: 24)")
    parser.add_argument("--repeats", type=int, default=2, help="the best of this many counts (default: 2)")
    args = parser.parse_args()
    n_days = args.stations * args.days
    steps = {"predict": run_predict, "prepare catalog": run_prepare}
    seconds: dict[tuple[str, int], float] = {}
    memory: dict[tuple[str, int], float] = {}
    cpu: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_archive(folder, args.stations, args.days, args.hours)
        write_checkpoint(folder / "random.ckpt")
        (task, *_), _ = station_days(index_streams([folder / "sds"]), "ZNE", 20.0)
        for _ in range(args.repeats):
            for n_workers in (1, 2):
                options = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
                with LocalCluster(n_workers=n_workers, **options) as cluster:
                    cluster.wait_for_workers(n_workers)
                    address = cluster.scheduler_address
                    clock(lambda: run_small(folder, address))  # noqa: B023
                    for step, run in steps.items():
                        with Watch(address) as watch:
                            took = clock(lambda: run(folder, address))  # noqa: B023
                        key = step, n_workers
                        seconds[key] = min(took, seconds.get(key, np.inf))
                        memory[key] = max(watch.memory, memory.get(key, 0.0))
                        cpu[key] = min(watch.cpu, cpu.get(key, np.inf))
                    with open_cluster(address) as reached:
                        used = time.process_time()  # client and scheduler are this process
                        nothing = clock(lambda: list(reached.each(abs, range(NOTHING)))) / NOTHING  # noqa: B023
                        overhead = (time.process_time() - used) / NOTHING
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{n_days} station-days of {args.hours:g} h ({size:.1f} MiB each); {device_name('cpu')}, "
          f"{os.cpu_count()} cores, load at the end {load}")  # fmt: skip
    print(f"{'':<18}{'1 worker (s)':>14}{'2 workers (s)':>15}{'ratio':>8}{'CPU s a day':>13}{'MiB a worker':>14}")
    for step in steps:
        one, two = seconds[step, 1], seconds[step, 2]
        most = max(memory[step, 1], memory[step, 2])
        used = min(cpu[step, 1], cpu[step, 2]) / n_days
        print(f"{step:<18}{one:>14.1f}{two:>15.1f}{one / two:>8.2f}{used:>13.2f}{most:>14.0f}")
    size = len(pickle.dumps(task)) / 1000
    print(
        f"a task that does nothing: {1000 * nothing:.1f} ms with 2 workers and at most {2 * AHEAD} in flight, of which "
        f"client and scheduler compute {1000 * overhead:.1f} ms; a station-day's task: {size:.1f} kB"
    )


def run_small(folder: Path, address: str) -> None:
    """One station's first day, so that every worker has imported what it needs and loaded the model."""
    first = sorted((folder / "sds").glob("*/XX/S000/*.D/*"))
    options = PredictOptions(plots=False, threshold=0.999, scheduler=address)
    predict(folder / "random.ckpt", [path for path in first if path.name.endswith(first[0].name[-3:])],
            folder / "small", options)  # fmt: skip
    shutil.rmtree(folder / "small")


if __name__ == "__main__":
    main()
