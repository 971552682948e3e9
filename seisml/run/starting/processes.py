"""Training one model in several processes of this machine, each with a share of every batch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from seisml.errors import STOPPED, Stopped, UserError
from seisml.processes.parent import end_with_parent
from seisml.run.starting.launched import in_environment

PATIENCE = 30.0  # seconds that the first process has to end by itself once another one has failed


def in_processes(train: Callable[[DictConfig, Path], Any], cfg: DictConfig, folder: Path, n_processes: int) -> Any:
    """Call ``train(cfg, folder)`` in so many processes; this one is the first.

    Args:
        train: A function of a module, which other processes can import.
        cfg: A composed configuration.
        folder: The run's folder.
        n_processes: This one and those to start.

    Returns:
        What it returned in this process.

    Raises:
        UserError: Another process failed; says why.
    """
    port, ended = _free_port(), threading.Event()
    others: list[tuple[BaseProcess, Connection]] = []
    try:
        for rank in range(1, n_processes):
            with in_environment(_environment(rank, n_processes, port)):
                others.append(_start(train, cfg, folder))
        watched = [process for process, _ in others]
        watch = threading.Thread(target=_end_if_stuck, args=(watched, ended), daemon=True)
        with in_environment(_environment(0, n_processes, port)):
            watch.start()
            try:
                result = train(cfg, folder)
            except Exception as error:
                raise _cause(others, error) from error
            finally:
                ended.set()
                if torch.distributed.is_initialized():
                    torch.distributed.destroy_process_group()
        for process, _ in others:
            process.join(PATIENCE)
        return result
    finally:
        for process, _ in others:
            process.terminate()
            process.join(PATIENCE)
            process.kill()  # one that waits for the others does not hear the first signal
            process.join()


def _start(train: Callable[[DictConfig, Path], Any], cfg: DictConfig, folder: Path) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(train, cfg, folder, sender))
    process.start()
    sender.close()
    return process, receiver


def _run(train: Callable[[DictConfig, Path], Any], cfg: DictConfig, folder: Path, sender: Connection) -> None:
    """What another process does; its error goes to the first one, which speaks for all."""
    end_with_parent()
    try:
        train(cfg, folder)
    except KeyboardInterrupt:
        sys.exit(130)
    except Stopped:
        sys.exit(STOPPED)
    except Exception as error:
        sender.send((isinstance(error, UserError), f"{error}" if isinstance(error, UserError) else repr(error)))
        sys.exit(1)


def _cause(others: list[tuple[BaseProcess, Connection]], error: Exception) -> Exception:
    """The error to report: this process's where it says what to do, else what another process said before it ended."""
    if isinstance(error, UserError):
        return error
    for number, (_, receiver) in enumerate(others, start=1):
        try:
            said = receiver.recv() if receiver.poll(1.0) else None
        except EOFError:  # it was killed, and said nothing
            said = (True, f"process {number} of the run was killed; look at the memory, or take fewer processes")
        if said is not None and said[0]:
            return UserError(said[1])
    return error


def _end_if_stuck(others: list[BaseProcess], ended: threading.Event) -> None:
    """End this process where another has failed and this one waits for it in vain."""
    left = list(others)
    while left and not any(process.exitcode for process in others):
        wait([process.sentinel for process in left])
        left = [process for process in left if process.exitcode is None]
    if any(process.exitcode for process in others) and not ended.wait(PATIENCE):
        print("error: another process of the run has failed, and this one waits for it in vain", file=sys.stderr)
        os._exit(1)


def _environment(rank: int, n_processes: int, port: int) -> dict[str, str]:
    """What says to a process which of how many it is."""
    return {
        "LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]
