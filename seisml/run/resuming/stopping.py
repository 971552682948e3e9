"""Ending a run early on a signal, with its state saved: what a scheduler sends before it takes the machine away."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from seisml.errors import Stopped, UserError
from seisml.processes.signals import TIME_IS_UP


class StopSignals:
    """Notes signals while a run trains, so that it can save its state first; at other times they end it at once.

    A context manager around the run. Outside a process's main thread it does nothing: signals do not come there.

    SIGTERM that something else has taken does not end the run: submitit takes it, as SLURM sends it to a job that it is
    about to preempt, and queues only those again that it had to kill. The run saves its state and goes on.

    Attributes:
        came: The signal that came, to this process or another of the run; 0 for none.
        saves: Whether to save the state and go on.
    """

    def __init__(self) -> None:
        self.came = 0
        self.saves = False
        self._wait = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        """Take the signals."""
        self._before = {number: signal.getsignal(number) for number in TIME_IS_UP}
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back; what took them before goes on with the one that ended the run: submitit requeues its job.

        Raises:
            UserError: It did not.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        handler = self._before.get(self.came)
        if isinstance(error, Stopped) and callable(handler):
            try:
                handler(self.came, None)
            except Exception as refused:
                reason = str(refused).partition("\n")[0]
                raise UserError(f"stopped: {error}, but what started the job did not do so ({reason})") from refused

    def wait(self) -> None:
        """From now on the run looks at :attr:`came`. Lightning takes SIGTERM as it starts; this takes it back."""
        self._wait = True
        self._take()

    def release(self) -> None:
        """From now on a signal ends the run at once."""
        self._wait = False

    def stop(self, saved: str) -> Stopped:
        """What ends the run; says what is saved."""
        name = signal.Signals(self.came).name
        return Stopped(f"{name}; {saved}; the same command with resume=auto goes on", self.came)

    def _take(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in TIME_IS_UP:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        handler = self._before[number]
        if number == signal.SIGTERM and callable(handler):
            self.saves = True
            handler(number, frame)
            return
        self.came = number
        if not self._wait:
            raise self.stop("what was saved before stays")
