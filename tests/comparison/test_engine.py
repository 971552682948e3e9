from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seisml.comparison.engine import perform, work_off
from seisml.comparison.tasks import Task
from seisml.errors import UserError
from seisml.terminal.progress import Progress


@dataclass(frozen=True)
class Doubling(Task):
    """A piece of work that other processes can do; an odd number fails."""

    number: int

    def compute(self, folder: Path) -> dict[str, Any]:
        if self.number % 2:
            raise UserError(f"{self.number} is odd")
        print("doubling")
        return {"twice": 2 * self.number}


def test_what_another_command_has_done_meanwhile_is_taken(tmp_path):
    class Slow(Doubling):
        def compute(self, folder: Path) -> dict[str, Any]:
            perform(Doubling(self.folder, self.asked, self.steps, self.number))  # the other command
            return super().compute(folder)

    task = Slow(tmp_path / "2", {"number": 2}, 1, 2)
    assert perform(task) == ({"twice": 4}, None) and perform(task) == ({"twice": 4}, None)


def test_an_error_that_nobody_foresaw_costs_its_cell(tmp_path, capfd):
    class Broken(Doubling):
        def compute(self, folder: Path) -> dict[str, Any]:
            raise RuntimeError("out of memory")

    progress = Progress("doubling", "step", 2, shown=False)
    tasks = [Broken(tmp_path / "0", {}, 1, 0), Doubling(tmp_path / "2", {}, 1, 2)]
    done, failed = work_off(tasks, 1, progress)
    assert done == {tmp_path / "2": {"twice": 4}} and failed == {tmp_path / "0": "RuntimeError: out of memory"}
    assert "Traceback" in capfd.readouterr().err


@dataclass(frozen=True)
class Dying(Doubling):
    """A piece of work in which the system kills the process."""

    def compute(self, folder: Path) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}


@pytest.mark.long
def test_a_process_that_is_killed_is_told_in_one_line(tmp_path):
    tasks = [Dying(tmp_path / str(number), {}, 1, number) for number in range(2)]
    with pytest.raises(UserError, match="a process of --jobs was killed"):
        work_off(tasks, 2, Progress("doubling", "step", 2, shown=False))


@pytest.mark.long
def test_processes_share_the_work_and_one_that_fails_costs_itself(tmp_path):
    tasks = [Doubling(tmp_path / str(number), {"number": number}, 1, number) for number in range(4)]
    results, failed = work_off(tasks, 2, Progress("doubling", "step", 4, shown=False))
    assert results == {tmp_path / "0": {"twice": 0}, tmp_path / "2": {"twice": 4}}
    assert failed == {tmp_path / "1": "1 is odd", tmp_path / "3": "3 is odd"}
    assert (tmp_path / "2" / "log.txt").read_text() == "doubling\n" and not (tmp_path / "1").exists()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["0", "2"]  # nothing half done is left
