"""A store as a folder: what it was made from, and how it is put in place, recovered and cleaned up."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seisml.errors import UserError
from seisml.files import remove_partials, sync

PREPARED = "prepare.json"
_FORMAT = 2  # raise it when the same options would make another store


def fingerprint(options: dict[str, Any], sources: Iterable[Path] | None) -> dict[str, Any]:
    """What a store is made from: its options, and a hash over name, size and modification time of its source files."""
    listing = hashlib.sha256()
    paths = sorted(Path(os.path.abspath(path)) for path in sources or ())
    base = os.path.commonpath([path.parent for path in paths]) if paths else ""
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}; check that the file is still there") from error
        listing.update(f"{path.relative_to(base).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    plain = json.loads(json.dumps(options, sort_keys=True, default=str))
    return {"format": _FORMAT, "options": plain, "n_sources": len(paths), "sources_sha256": listing.hexdigest()}


def made_from(root: str | Path) -> str:
    """What tells the data in a folder from others, wherever it lies: made otherwise, of other files, labelled anew.

    Args:
        root: A store, or the files of a data set in another format.

    Returns:
        A hash over what ``prepare.json`` says it was made from, the tables, and names and sizes of all files.
    """
    root = Path(root)
    prepared = read_prepared(root)
    said = {key: prepared.get(key) for key in ("format", "options", "n_sources", "sources_sha256")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path in sorted(root.iterdir() if root.is_dir() else ()):
        if path.is_file() and path.name != PREPARED and not path.name.startswith("."):
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
            if path.name.startswith("metadata"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def is_current(out: str | Path, options: dict[str, Any], sources: Iterable[Path] | None = None) -> bool:
    """Whether the finished store ``out`` was made by the same options from the same files.

    Files are the same where name, size and modification time are. A store that an interrupted ``--overwrite`` had moved
    aside is put back first; partial folders of killed writers are removed where the store is current.
    """
    out = recover_interrupted(Path(out))
    if not all((out / name).is_file() for name in (PREPARED, "metadata.csv", "waveforms.hdf5")):
        return False
    prepared = read_prepared(out)
    current = all(prepared.get(key) == value for key, value in fingerprint(options, sources).items())
    if current:  # nobody will write here soon, so clear what a killed --overwrite has left: as much as a whole store
        remove_partials(Path(os.path.realpath(out)))
    return current


def read_prepared(root: Path) -> dict[str, Any]:
    """Read ``prepare.json`` of a store; empty where there is none or it is not JSON."""
    try:
        values = json.loads((root / PREPARED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def check_writable(out: Path, overwrite: bool) -> None:
    """Refuse an ``--out`` that is taken.

    Raises:
        UserError: It is a file or a foreign folder, or a store made otherwise while ``overwrite`` is False.
    """
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise UserError(f"{out}: is a file; choose another --out")
    if not any(out.iterdir()):
        return
    if not (out / PREPARED).is_file():  # never delete what this program has not made
        raise UserError(f"{out}: holds files that are not a store made by seisml; choose another --out")
    if not overwrite:
        raise UserError(
            f"{out}: a store made with other options or from other files is there; "
            "add --overwrite to replace it or choose another --out"
        )


def previous_folder(out: Path) -> Path:
    """Where a writer keeps the earlier store for the instant in which it puts the new one in place."""
    out = Path(os.path.realpath(out))
    return out.parent / f".{out.name}.previous"


def put_in_place(folder: Path, out: Path, overwrite: bool) -> None:
    """Rename a finished folder to ``out``; an earlier store is moved aside first, and removed last."""
    for path in folder.iterdir():
        sync(path)
    previous = previous_folder(out)
    while True:
        if out.is_dir():
            check_writable(out, overwrite)
            if any(out.iterdir()):
                shutil.rmtree(previous, ignore_errors=True)
                os.rename(out, previous)
            else:
                out.rmdir()
        try:
            os.rename(folder, out)
            break
        except BaseException as error:  # Ctrl-C too must not leave the earlier store aside
            if not (isinstance(error, OSError) and out.is_dir()):
                recover_interrupted(out)
                raise
            # A reader has put the earlier store back between the two renames: once more.
    shutil.rmtree(previous, ignore_errors=True)


def recover_interrupted(root: Path) -> Path:
    """Put back the store that an ``--overwrite`` killed between its two renames had moved aside; returns ``root``."""
    previous = previous_folder(root)
    target = Path(os.path.realpath(root))
    if not os.path.lexists(target) and previous.is_dir():
        try:
            os.rename(previous, target)
        except OSError:  # another process was faster, or the writer has just finished
            pass
    return root


def remove_leftovers(out: Path) -> None:
    """Remove what killed writers of ``out`` left: their partial folders, and an earlier store already replaced."""
    if os.path.lexists(out):
        shutil.rmtree(previous_folder(out), ignore_errors=True)
    if out.parent.is_dir():
        remove_partials(Path(os.path.realpath(out)))
