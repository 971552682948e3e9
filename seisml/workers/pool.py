"""Processes for what may crash or hang: a damaged file that kills its reader costs itself, and is known by name.

They are started as programs, not forked: the file that the user runs is not imported once more, threads of PyTorch are
not copied, and workers of Dask, which may not have children by :mod:`multiprocessing`, have them too.
"""

from __future__ import annotations

import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from seisml.workers.transfer import packed, receive, send, unpacked

TIME_LIMIT = 120.0  # s for one call; a file of the largest size takes less
NEXT_PROCESS = 1.5  # s after which one more process is worth its start, which takes about as long
IN_FLIGHT = 4  # items per process that are worked on ahead of the one due
_PIPE_BYTES = 2**20  # of a pipe's buffer, where it can be chosen

T, R = TypeVar("T"), TypeVar("R")


class Failed(Exception):
    """A call that its process did not survive; the message is a short reason."""


class Closed(Exception):
    """A call to a worker that was ended for good; nobody waits for its result."""


class Worker:
    """A process that calls functions for this one, one at a time; where it has died, the next call starts another.

    Attributes:
        n_calls: Calls that ended, one way or another.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Callable[[], object] | None = None
        self._started_by = 0
        self.n_calls = 0
        self._ready = self._closed = False
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process where there is none, without waiting until it is ready.

        Raises:
            Closed: The worker was closed.
        """
        with self._lock:
            if self._closed:
                raise Closed
            if self._process is None or self._started_by != os.getpid():  # a fork may not use that of its parent
                code = f"import sys; sys.path[:] = {sys.path!r}; from seisml.workers.pool import serve; serve()"
                self._process, self._ready, self._started_by = _start([sys.executable, "-c", code]), False, os.getpid()
                self._end = weakref.finalize(self, _end, self._process)
            return self._process

    def call(self, function: Callable[..., R], *arguments: Any, limit: float = TIME_LIMIT) -> R:
        """Call an importable function in the process; calls of several threads wait for one another.

        Args:
            function: The function.
            *arguments: Its arguments.
            limit: Seconds after which the process is ended (not on Windows, which has no alarm).

        Returns:
            What the function returns; what it raises is raised here.

        Raises:
            Failed: The process died, or took too long.
            Closed: The worker was closed.
            RuntimeError: The process could not be started.
        """
        with self._turn:
            process = self.start()
            assert process.stdin is not None and process.stdout is not None
            try:
                if not self._ready:
                    unpacked(receive(process.stdout))
                    self._ready = True
                send(process.stdin, packed((function, arguments, limit)))
                error, result = unpacked(receive(process.stdout))
            except (EOFError, BrokenPipeError):
                raise self._failure(process, limit) from None
            except BaseException:  # Ctrl-C between question and answer
                self.stop()
                raise
            finally:
                self.n_calls += 1
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        """End the process, whatever it does; the next call starts another."""
        with self._lock:
            if self._end is not None:
                self._end()
            self._process = self._end = None

    def close(self) -> None:
        """End the process for good; a call that another thread waits for fails."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _failure(self, process: subprocess.Popen[bytes], limit: float) -> Exception:
        was_ready = self._ready
        self.stop()
        if self._closed:
            return Closed()
        if not was_ready:
            return RuntimeError("a process that reads files could not be started; what it says stands above")
        if sys.platform != "win32" and process.returncode == -signal.SIGALRM:
            return Failed(f"the reader did not finish within {limit:g} s (damaged file?)")
        return Failed("the reader crashed on it (damaged file, or not enough memory)")


def in_order(
    function: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    failed: Callable[[T, str], R],
    limit: Callable[[T], float] = lambda _: TIME_LIMIT,
) -> Iterator[R]:
    """Apply a function to items in other processes; however few the items, none is worked on in this one.

    There is one process at first, and one more whenever the last has worked for ``NEXT_PROCESS`` seconds, so that few
    items cost one start. What is in flight is bounded, and so is the memory. However it ends, the processes end too.

    Args:
        function: Importable function of one item.
        items: The items.
        workers: Processes at most.
        failed: Gives what stands for the result of an item that its process did not survive, from it and the reason.
        limit: Gives the seconds after which a call is given up.

    Yields:
        The results, in order.
    """
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    processes: list[Worker] = []
    remaining, pending = deque(items), deque[Future[R]]()

    def run(item: T) -> R:
        worker = idle.get()
        try:
            return worker.call(function, item, limit=limit(item))
        except Failed as reason:
            return failed(item, str(reason))
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers, "seisml-pool")
    next_start: float | None = 0.0
    try:
        while remaining or pending:
            if next_start is None and processes[-1].n_calls:
                next_start = time.monotonic() + NEXT_PROCESS
            wanted = min(workers, len(remaining) + len(pending))
            if len(processes) < wanted and next_start is not None and time.monotonic() >= next_start:
                processes.append(Worker())
                processes[-1].start()
                idle.put(processes[-1])
                next_start = None
            while remaining and len(pending) < IN_FLIGHT * workers:
                pending.append(threads.submit(run, remaining.popleft()))
            full = len(processes) == workers
            if wait([pending[0]], None if full else min(max(NEXT_PROCESS, 0.02), 0.2)).done:
                yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for worker in processes:
            worker.close()
        threads.shutdown(cancel_futures=True)
        for worker in processes:
            worker.stop()


def serve() -> None:
    """Answer calls until the process that asks is gone: what the processes run. It does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    questions, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # C libraries print, above all when they die
        os.dup2(nowhere, standard)
    calls: queue.SimpleQueue[list[memoryview]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions, calls), daemon=True).start()
    send(answers, packed(None))
    while True:
        send(answers, _answer(calls.get()))


def _answer(question: list[memoryview]) -> list[Any]:
    """The packed (error, result) of a call."""
    try:
        function, arguments, limit = unpacked(question)
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, limit)  # ends the process even within C code
        return packed((None, function(*arguments)))
    except BaseException as error:
        error.add_note("".join(traceback.format_exception(error)))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return packed((error, None))
    finally:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)


def _listen(questions: io.FileIO, calls: queue.SimpleQueue[list[memoryview]]) -> None:
    """Take questions, and end the process with the one that asks, even where that was killed."""
    try:
        while True:
            calls.put(receive(questions))
    except (EOFError, OSError):
        os._exit(1)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process in which Ctrl-C is blocked from the first moment."""
    before = None if sys.platform == "win32" else signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
