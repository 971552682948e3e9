"""Signals by which a scheduler tells the processes of a job that their time is up."""

from __future__ import annotations

import signal

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
