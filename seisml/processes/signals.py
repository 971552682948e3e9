"""Signals: Ctrl-C in processes that others started, and those by which a scheduler says that their time is up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

# SLURM's --signal=USR1@120, that of submitit, and what comes with preemption, scontrol requeue and scancel
TIME_IS_UP = tuple(
    signal.Signals[name] for name in ("SIGUSR1", "SIGUSR2", "SIGTERM") if name in signal.Signals.__members__
)


def leave_to_parent(worker: int = 0) -> None:
    """Ignore them in a worker process: they reach all processes of a job, and the one that trains decides.

    Args:
        worker: Its number, which nothing depends on.
    """
    for number in TIME_IS_UP:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block SIGINT in this thread, and in what is started meanwhile."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # else the first process to be started starts it, and unblocks SIGINT after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def with_interrupts() -> Iterator[None]:
    """Let SIGINT through again, in what :func:`without_interrupts` has started; one that came before comes now."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
