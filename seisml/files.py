"""Writing files: whole or not at all, under names that data cannot choose, with plain words where the disk refuses."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from seisml.errors import UserError, disk_error

if TYPE_CHECKING:
    import pandas as pd

STALE_SECONDS = 24 * 3600.0  # without a write after which a partial file of another machine is that of a dead writer
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would compute, and such a cell made harmless


# -- one write ---------------------------------------------------------------------------------------------------------
def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> Path:
    """Let ``write`` make a file beside its place and move it there: the file is whole, or as it was before.

    Several processes may write the same file at once: one of the whole files stays. What killed writers have left is
    removed.

    Args:
        path: The file; its folder is made where it is missing.
        write: Called with the path to write to.

    Returns:
        The path.

    Raises:
        UserError: The disk is full, or refuses otherwise.
    """
    path = Path(path)
    part = partial_path(path)
    with naming_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(path)
        try:
            write(part)
            sync(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file; see :func:`write_atomically`."""
    return write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends: it is there whole or not at all.

    Args:
        path: The folder; nothing may be there yet but an empty one.

    Yields:
        The folder to write into.

    Raises:
        UserError: Something is there, before or at the end, or the disk is full or refuses otherwise.
    """
    path = Path(os.path.abspath(path))
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path}: is there already; choose another --out, or remove it")
    part = partial_path(path)
    with naming_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(path)
        try:
            part.mkdir()
            yield part
            for file in part.iterdir():
                sync(file)
            _take_place(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _take_place(part: Path, path: Path) -> None:
    try:
        os.rename(part, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UserError(f"{path}: another command has made it meanwhile; run this one again to take it up") from error


def partial_path(path: Path) -> Path:
    """Where a writer of this process builds a file or folder before it takes its place."""
    return path.with_name(f"{_prefix(path)}{socket.gethostname()}-{os.getpid()}")


def remove_partials(path: Path) -> None:
    """Remove the partial files and folders of writers of ``path`` that no longer live."""
    prefix = _prefix(path)
    with os.scandir(path.parent) as entries:
        leftovers = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
    for leftover in leftovers:
        host, _, pid = leftover.name[len(prefix) :].rpartition("-")
        if _is_alive(leftover, host, pid):
            continue
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Push a file to the disk, so that a power cut after the rename cannot leave it empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise  # some disks find out only now; other systems refuse fsync, and the rename is atomic all the same
    finally:
        os.close(descriptor)


def _prefix(path: Path) -> str:
    return f".{path.name[:150]}.partial-"


def _is_alive(path: Path, host: str, pid: str) -> bool:
    if host != socket.gethostname():  # cannot ask another machine: what nobody touched for a day is dead
        try:
            newest = max(entry.stat().st_mtime for entry in (path, *(path.iterdir() if path.is_dir() else ())))
        except OSError:
            return True
        return time.time() - newest < STALE_SECONDS
    if not pid.isdigit() or os.name == "nt":  # on Windows os.kill would end the process
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


# -- a disk that refuses -----------------------------------------------------------------------------------------------
@contextmanager
def naming_disk_errors(path: str | Path) -> Iterator[None]:
    """Turn what the system says about a disk into one line that names the file and the cure.

    Args:
        path: What is being written; for errors that do not name a file.

    Raises:
        UserError: In place of the system's error, and of HDF5's and PyTorch's words for it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        line = disk_error(error, path)
        if line is None:
            raise
        raise UserError(line) from error


# -- names and cells that data choose ----------------------------------------------------------------------------------
def safe_name(*parts: str) -> str:
    """A file name of text that came with data: ``safe_name("NO", "../A*")`` is ``"NO.%2E%2E%2FA%2A"``.

    Letters, digits, ``_``, ``-`` and ``~`` stay, all others become the percent codes of their UTF-8 bytes, so that
    different parts give different names, none of which leads elsewhere or means several files.
    """
    return ".".join(quote(part, safe="").replace(".", "%2E") for part in parts)


def harmless(value: Any) -> Any:
    """A table's cell that no spreadsheet takes for a formula: text like ``=1+1`` gets an apostrophe, numbers stay."""
    if not isinstance(value, str) or not FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def original(value: Any) -> Any:
    """The text that :func:`harmless` has changed, as it was."""
    return value[1:] if isinstance(value, str) and value.startswith("'") and FORMULA.match(value) else value


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file of harmless cells; see :func:`write_atomically`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(harmless, columns))
    writer.writerows(map(harmless, row) for row in rows)
    return write_text(path, text.getvalue())


def write_frame(path: str | Path, table: pd.DataFrame) -> Path:
    """Write a table without its index as a CSV file of harmless cells; see :func:`write_atomically`."""
    texts = [name for name in table if table[name].dtype.kind not in "biufcM"]
    plain = table.assign(**{name: table[name].map(harmless, na_action="ignore") for name in texts})
    plain.columns = [harmless(name) for name in plain]
    return write_atomically(path, lambda part: plain.to_csv(part, index=False))
