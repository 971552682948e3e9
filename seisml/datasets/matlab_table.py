"""Reading a matrix of spectrograms and its names from a MATLAB file that may say anything.

It imports little: each file is read in a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import matfile_version

from seisml.errors import UserError
from seisml.workers.memory import allow
from seisml.workers.pool import Failed, Worker

MATRIX, NAMES = "mSpec", ("classes", "files", "events")
LARGEST = 2**31  # numbers of the matrix
MOST_PACKED = 1100  # times that zlib makes numbers smaller, at the most
LONGEST_NAME = 4096  # characters
ASIDE = 2**30  # bytes for headers, names and what SciPy keeps
COPIES = 4  # of the matrix in float64: as it is stored, as it is used, in SciPy between, on its way to who asked
NUMBERS = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32")


def read_spectrograms(path: Path) -> dict[str, Any]:
    """Read the matrix and the names of a MATLAB file, in a process of its own that a damaged file may take down.

    Sizes and types are read from the headers and compared with what the file can hold before anything is allocated.
    Packed data that are larger than the headers say meet the memory that the process may take.

    Returns:
        ``mSpec`` (F * W + 1, N), and those of ``classes``, ``files`` and ``events`` that there are, lists of names.

    Raises:
        UserError: It is missing, of another format, damaged, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"dataset.root: there is no {path}; `seisml prepare spectrograms SRC --out {path}` makes one")
    worker = Worker()
    try:
        found = worker.call(_read, path)
    except Failed as reason:
        raise UserError(f"{path}: cannot be read ({reason}); make it again") from reason
    finally:
        worker.stop()
    if isinstance(found, str):
        raise UserError(f"{path}: {found}")
    return found


def _read(path: Path) -> dict[str, Any] | str:
    """:func:`read_spectrograms` without guard; a string says what is wrong."""
    try:
        allow(ASIDE)
        if matfile_version(str(path))[0] != 1:
            return "is no MATLAB 5 file; save it with -v5 (savemat does), or make it with `seisml prepare spectrograms`"
        variables = {name: (shape, kind) for name, shape, kind in whosmat(str(path), chars_as_strings=False)}
        if problem := _problem(variables, path.stat().st_size):
            return problem
        allow(ASIDE + COPIES * 8 * int(np.prod(variables[MATRIX][0], dtype=object)))
        wanted = [MATRIX, *(name for name in NAMES if name in variables)]
        loaded = loadmat(str(path), variable_names=wanted)
    except MemoryError:
        return "takes more memory than what it declares; make it again"
    except Exception as error:  # of a damaged file SciPy raises what it likes
        return f"cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:100]}); make it again"
    names = {name: [str(text).rstrip() for text in np.ravel(loaded[name])] for name in wanted[1:]}
    return {MATRIX: np.asarray(loaded[MATRIX]), **names}


def _problem(variables: dict[str, tuple[tuple[int, ...], str]], n_bytes: int) -> str | None:
    """Say what is wrong with the variables that a file declares, before they are read."""
    if MATRIX not in variables:
        return f"holds no matrix {MATRIX!r} (it has {', '.join(list(variables)[:9]) or 'nothing'})"
    shape, kind = variables[MATRIX]
    if kind not in NUMBERS or len(shape) != 2:
        return f"{MATRIX} is {kind} of shape {shape}, not a matrix of numbers"
    if min(shape) < 2 or shape[0] * shape[1] > min(LARGEST, MOST_PACKED * n_bytes):
        return f"{MATRIX} declares {shape[0]} x {shape[1]} numbers, which a file of {n_bytes} bytes does not hold"
    for name in (name for name in NAMES if name in variables):
        shape, kind = variables[name]
        n_letters = int(np.prod([int(size) for size in shape], dtype=object))
        if kind != "char" or len(shape) != 2 or shape[1] > LONGEST_NAME or n_letters > MOST_PACKED * n_bytes:
            return f"{name!r} is {kind} of shape {shape}, not a table of names of up to {LONGEST_NAME} letters"
    return None
