"""Errors that a user can mend: one line that names the cause and the cure, and an exit code."""

from __future__ import annotations

import copyreg
import difflib
import errno
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DISK_CURES = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "your quota is used up; free some space and run the command again",
    errno.EFBIG: "the file is larger than the system allows; write to another disk or raise the limit",
    errno.EROFS: "the disk is read-only; write to another folder",
    errno.EACCES: "no permission; ask for it or choose another folder",
    errno.EIO: "the disk does not answer as it should; check it, or write to another",
}
HDF5_CODE = re.compile(r"errno = (\d+)")  # what HDF5 says of the system's errors


STOPPED = 75  # exit code of a run that a signal has ended with its state saved; "try again later" in sysexits.h


class UserError(Exception):
    """Bad input. The message is one line naming the file, row or key at fault and what to do about it.

    The command line prints it without a traceback and exits with code 2.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling the class again, which may take other arguments: errors cross process borders."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)


class SettingError(UserError):
    """A key or value of a config that does not fit.

    Attributes:
        key: Dotted path of the key at fault, by which its file or override is found.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Stopped(BaseException):
    """A signal has ended a run, whose state is saved: no error, and nothing on the way up takes it for one.

    Attributes:
        number: The signal; one process of the run got it.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def nearest(word: str, choices: Iterable[str]) -> str:
    """Suggest the choice closest to a misspelt word.

    Args:
        word: What was given.
        choices: What would have been valid.

    Returns:
        ``"did you mean 'x'?"`` where one choice is close, else ``"choose from a, b, c"``.
    """
    names = sorted({str(choice) for choice in choices})
    match = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if not match:  # letter case alone should never hide a match
        folded = {name.lower(): name for name in names}
        match = [folded[m] for m in difflib.get_close_matches(str(word).lower(), list(folded), n=1, cutoff=0.6)]
    return f"did you mean {match[0]!r}?" if match else f"choose from {', '.join(names) or 'nothing'}"


def shown(path: Path) -> str:
    """Write a path as short as it can be: relative to the current folder where it lies below it."""
    absolute = Path(os.path.abspath(path))
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def disk_error(error: BaseException | None, path: str | os.PathLike[str] | None = None) -> str | None:
    """Say in one line that a disk refused, and what to do; None where an exception has another cause.

    Args:
        error: What was raised; what lies behind it is looked at too.
        path: What was being written, for errors that do not name a file.
    """
    while error is not None:
        code = error.errno if isinstance(error, OSError) else None
        said = HDF5_CODE.search(str(error))
        if code not in DISK_CURES and said:
            code = int(said[1])
        if code in DISK_CURES:
            name = error.filename if isinstance(error, OSError) else None
            return f"{name or path or 'a file could not be written'}: {DISK_CURES[code]}"
        error = error.__cause__ or error.__context__
    return None


def report(error: BaseException, job: str = "") -> int:
    """Print an error: one line for bad input, the traceback for anything else or where the user asks for it.

    Returns:
        The exit code: 2 for bad input, 1 for anything else.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    if cause is None and (line := disk_error(error)):
        cause = UserError(line)
    if cause is None or any(os.environ.get(name) == "1" for name in ("SEISML_TRACEBACK", "HYDRA_FULL_ERROR")):
        traceback.print_exception(error)
    if cause is None:
        return 1
    lines = [line for line in str(cause).splitlines() if line.strip()]
    if lines and lines[0].startswith("Caught UserError in"):  # from a worker process, which sends its traceback along
        lines = [lines[-1].partition("UserError: ")[2]]
    print(f"error: {job}{' '.join(' '.join(lines).split())}", file=sys.stderr)
    return 2


def interrupted() -> int:
    """Say that the user stopped the command; return the exit code for it."""
    print("interrupted", file=sys.stderr)
    return 130


def stopped(stop: Stopped) -> int:
    """Say that a signal has ended the run; return the exit code for it."""
    print(f"stopped: {stop}", file=sys.stderr)
    return STOPPED


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: one that meets PyTorch's import aborts the process with a core dump."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if waiting:
        raise KeyboardInterrupt
