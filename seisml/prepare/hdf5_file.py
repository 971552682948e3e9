"""Data sets that are one HDF5 file: whether it is there and current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py

from seisml.errors import UserError

PREPARED = "prepare.json"  # data set that says what the file was made from, as JSON


def is_current_file(out: Path, made_from: dict[str, Any], overwrite: bool, command: str) -> bool:
    """Whether a file is there and was made from the same.

    Args:
        out: The file.
        made_from: What :func:`seisml.store.folder.fingerprint` gives.
        overwrite: Make a file of the command anew, whatever it was made from.
        command: Name of the prepare command.

    Raises:
        UserError: A file is there that the command has not made, or has made from something else.
    """
    if not out.exists():
        return False
    try:
        with h5py.File(out, "r") as file:
            earlier = json.loads(file[PREPARED][()]) if PREPARED in file else None
    except (OSError, ValueError, TypeError):
        earlier = None
    if not isinstance(earlier, dict) or earlier.get("options", {}).get("command") != command:
        raise UserError(f"{out}: is there and was not made by 'seisml prepare {command}'; choose another --out")
    if overwrite:
        return False
    if all(earlier.get(key) == value for key, value in made_from.items()):
        return True
    raise UserError(f"{out}: made with other options or from other files is there; add --overwrite to replace it")
