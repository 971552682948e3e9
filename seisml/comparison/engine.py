"""Doing the pieces of work of a comparison: once, in several processes, each whole or not at all."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from seisml.comparison.tasks import Task
from seisml.errors import UserError, shown
from seisml.files import new_folder, write_text
from seisml.processes.parent import end_with_parent
from seisml.processes.signals import with_interrupts, without_interrupts
from seisml.run.settings import differences
from seisml.terminal.progress import Progress

DONE = "cell.json"
Results = dict[Path, dict[str, Any]]


def work_off(tasks: Sequence[Task], jobs: int, progress: Progress) -> tuple[Results, dict[Path, str]]:
    """Do what is not done yet.

    Args:
        tasks: The pieces; two of one folder are the same.
        jobs: Processes.
        progress: Counts training steps; those of what is there already are counted in it.

    Returns:
        What each gave, by its folder, and why others gave nothing; nothing is said of those that lack what they need.

    Raises:
        UserError: A folder holds the work of other settings.
    """
    results: Results = {}
    failed: dict[Path, str] = {}
    waiting = {}
    for task in {task.folder: task for task in tasks}.values():
        there = finished(task)
        if there is not None:
            results[task.folder] = there
        elif task.needs is None or task.needs.is_file():
            waiting[task.folder] = task
        else:
            progress.update(task.weight)
    for task, result, error in _perform_all(list(waiting.values()), jobs):
        if error is None:
            results[task.folder] = result
        else:
            failed[task.folder] = error
        progress.update(task.weight)
    return results, failed


def finished(task: Task) -> dict[str, Any] | None:
    """What a task gave when it was done before; None where it was not.

    Raises:
        UserError: It was done with other settings or data, or is damaged.
    """
    path = task.folder / DONE
    if not path.is_file():
        return None
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        asked, result, data = there["asked"], there["result"], there.get("data", task.data)
        task.check(result)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{shown(path)} is damaged; remove its folder to compute it again") from error
    if data != task.data:
        raise UserError(
            f"{shown(task.folder)} was made from other data, which were prepared or labelled anew since; name another "
            "--out, or remove it"
        )
    now = json.loads(json.dumps(task.asked))
    if other := differences(asked, now):
        some = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise UserError(f"{shown(task.folder)} was made with other settings: {some}; name another --out, or remove it")
    return result


def perform(task: Task) -> tuple[dict[str, Any], str | None]:
    """Do a piece of work, in a folder that is there whole or not at all: its result, or the line that says why not."""
    try:
        return _done(task), None
    except UserError as error:
        return {}, str(error)
    except Exception as error:  # the hours that other cells took must not be lost by it
        traceback.print_exc()
        return {}, f"{type(error).__name__}: {error}"


def _done(task: Task) -> dict[str, Any]:
    """What a task gives; another command that works in the same folder may have done it, and has done the same."""
    there = finished(task)
    if there is not None:
        return there
    try:
        with new_folder(task.folder) as part:
            with open(part / "log.txt", "w", encoding="utf-8") as log, redirect_stdout(log):
                result = task.compute(part)
            done = {"asked": task.asked, "data": task.data, "result": result}
            write_text(part / DONE, json.dumps(done, indent=1) + "\n")
        return result
    except UserError:
        there = finished(task)
        if there is None:
            raise
        return there


def _perform_all(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Mapping[str, Any], str | None]]:
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, *perform(task)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    longest_first = sorted(tasks, key=lambda task: -task.steps)
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (threads,)) as pool:
        with without_interrupts():  # one that is importing answers Ctrl-C with a traceback
            running = {pool.submit(_perform_interruptible, task): task for task in longest_first}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), *future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a process of --jobs was killed, as a system does that is out of memory; finished cells are kept: run "
                "the same command again, with fewer --jobs"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _perform_interruptible(task: Task) -> tuple[dict[str, Any], str | None]:
    """What a worker process does: Ctrl-C, else left to the process that asks, ends it in the middle of its work."""
    with with_interrupts():
        return perform(task)


def _begin(threads: int) -> None:
    """What a worker process does first."""
    end_with_parent()
    torch.set_num_threads(threads)
