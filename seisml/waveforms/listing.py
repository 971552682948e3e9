"""Which files lie below a folder of recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the files below a class folder; hidden files, stores and links that lead in a circle are passed over."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".") and not is_store(Path(root, name), out)]
        yield from (Path(root, name) for name in names if not name.startswith("."))


def is_store(folder: Path, out: Path) -> bool:
    """Whether a folder is a store: one that lies among the recordings is not a class of them."""
    return os.path.realpath(folder) == os.path.realpath(out) or (folder / "waveforms.hdf5").is_file()
