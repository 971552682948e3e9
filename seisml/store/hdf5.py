"""Opening HDF5 files that may mean harm: what is read lies in the file itself, and is no larger than it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np

from seisml.errors import UserError

MOST_COMPRESSED, SMALL = 2000, 2**20  # times that samples may be larger than what they fill in the file; bytes let be


def open_hdf5(path: Path) -> h5py.File:
    """Open for reading, with the cause in one line where that fails.

    Only what lies in the file itself may be read from it: see :func:`local`.
    """
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        cause = "truncated" if "truncated" in str(error) else f"not readable as HDF5 ({error})"
        raise UserError(f"{path}: {cause}; copy it again or prepare the store again with --overwrite") from error


@contextmanager
def reading_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for the length of a block; whatever HDF5 says of damage in it is one line."""
    file = open_hdf5(path)
    try:
        yield file
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError) as error:
        cause = " ".join(str(error).split())[:150]
        raise UserError(f"{path}: damaged ({cause}); copy it again or prepare the store again") from error
    finally:
        with suppress(RuntimeError, ValueError):
            file.close()


def local(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """What lies under a name in an HDF5 file itself; None where there is nothing.

    Args:
        group: Where to look.
        name: A name, or a path below the group.
        path: The file, for messages.

    Raises:
        UserError: The name is a link, or its samples would come from another file by external storage or a virtual data
            set, or do not lie within this one.
    """
    found: h5py.Group | h5py.Dataset = group
    for part in name.split("/"):
        link = found.get(part, getlink=True) if part and isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{path}: {name!r} is a link, and could lead to any file; store the samples themselves")
        found = found[part]
    if isinstance(found, h5py.Dataset):
        _check_dataset(found, name, path)
    return found


def _check_dataset(dataset: h5py.Dataset, name: str, path: Path) -> None:
    if dataset.external or dataset.is_virtual:
        raise UserError(f"{path}: the samples of {name!r} lie in other files; store them in this one")
    size = float(np.prod(dataset.shape or (), dtype=float)) * dataset.dtype.itemsize
    held = dataset.id.get_storage_size()
    offset = dataset.id.get_offset() if dataset.chunks is None else None
    if offset is not None and offset + size > path.stat().st_size:
        raise UserError(f"{path}: truncated, {name!r} reaches beyond its end; copy it again or prepare it again")
    if held * MOST_COMPRESSED + SMALL < size:
        raise UserError(f"{path}: {name!r} of shape {dataset.shape} holds {held} bytes; copy or prepare it again")
