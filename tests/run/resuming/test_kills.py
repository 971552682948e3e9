"""SIGKILL at random moments: what goes on afterwards, again and again, ends to the bit as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from itertools import cycle

import pytest

from seisml.config.compose import compose
from seisml.run.checkpoints import read_checkpoint
from seisml.run.train import train
from tests.run.resuming.runs import FINETUNE, PRETRAIN, assert_same, configured
from tests.stores import write_store

RECIPES = {
    "pretraining": [*PRETRAIN, "trainer_params.max_epochs=8"],
    "fine-tuning": [*FINETUNE, "trainer_params.max_epochs=12"],
}
KILLS = 10  # of each recipe
PATIENCE = 120.0  # s until a run must have saved its next step

pytestmark = pytest.mark.long


def work(cfg, folder):
    """What the process does that is killed."""
    said = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    multiprocessing.set_start_method("fork", force=True)  # of workers that read, as everywhere else on Linux
    train(cfg, folder)


@pytest.fixture(scope="module")
def server():
    """Starts processes that have imported everything already; each costs little."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("kills") / "store", n_events=40, unlabelled=8)


class Victim:
    """A process that trains, to be killed.

    Args:
        context: What starts processes.
        cfg: The configuration.
        folder: The run's folder.
    """

    def __init__(self, context, cfg, folder):
        self.last, self.log = folder / "checkpoints" / "last.ckpt", folder.with_suffix(".log")
        self.before = self.saved()
        self.process = context.Process(target=work, args=(cfg, folder))
        self.process.start()

    def saved(self):
        """Tells one saved state from the next."""
        return self.last.stat().st_mtime_ns if self.last.is_file() else 0

    def half_written(self):
        """Checkpoints that have not taken their place."""
        return list(self.last.parent.glob(".last.ckpt.partial-*"))

    def wait_for(self, found):
        """Wait until something is found, or the process has ended; tell which."""
        end = time.monotonic() + PATIENCE
        while not found():
            if self.process.exitcode is not None:
                return False
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.001)
        return True

    def steps(self, n):
        """Wait until so many steps more are saved."""
        for _ in range(n):
            if not self.wait_for(lambda: self.saved() != self.before):
                return False
            self.before = self.saved()
        return True

    def kill(self):
        """SIGKILL; returns whether it met the process, and whether that was writing a checkpoint."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode in (0, -9), self.log.read_text()
        return self.process.exitcode == -9, bool(self.half_written())


@pytest.mark.parametrize("recipe", RECIPES)
def test_runs_that_are_killed_at_random_end_the_same(server, store, tmp_path, recipe):
    """Half of the kills meet a checkpoint that is being written; each time another number of worker processes reads."""
    config, overrides = configured(store, RECIPES[recipe], tmp_path / "whole")
    cfgs = [compose(config, [*overrides, f"dataset.num_workers={number}"]) for number in range(3)]
    whole = server.Process(target=work, args=(cfgs[0], tmp_path / "whole"))
    whole.start()
    whole.join()
    assert whole.exitcode == 0, (tmp_path / "whole.log").read_text()

    moments, workers, runs, batches = random.Random(0), cycle(cfgs), 0, set()
    met = {True: 0, False: 0}  # kills, by whether a checkpoint was being written
    while sum(met.values()) < KILLS:
        folder, runs = tmp_path / f"killed{runs}", runs + 1
        while not (folder / "metrics.json").is_file():
            victim = Victim(server, next(workers), folder)
            if sum(met.values()) < KILLS and victim.steps(moments.randint(1, 3)):
                if met[True] < met[False]:
                    victim.wait_for(victim.half_written)
                else:
                    time.sleep(moments.uniform(0, 0.1))
            else:
                victim.process.join()
            killed, was_writing = victim.kill()
            if killed:
                met[was_writing] += 1
                batches.add(read_checkpoint(victim.last)["callbacks"]["Snapshots"]["moment"]["batch"])
        assert_same(folder, tmp_path / "whole")
    print(f"{recipe}: kills by whether a checkpoint was being written {met}, before batches {sorted(batches)}")
    assert min(met.values()) >= KILLS // 4 and len(batches) > 1, (met, batches)
