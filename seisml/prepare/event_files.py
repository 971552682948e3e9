"""Files of one event each, wherever they lie, with their labels where somebody says them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from seisml.errors import UserError, nearest
from seisml.files import original
from seisml.prepare.files import Listing, SourceFile
from seisml.prepare.folder import event_pattern
from seisml.store.tables import UNLABELED
from seisml.waveforms.listing import walk

MOST_LABELS = 10**7  # rows of a table of labels


def list_events(
    sources: Sequence[Path], out: Path, classes: Sequence[str], labels: Path | None = None, event: str | None = None
) -> Listing:
    """List files of events.

    Args:
        sources: Files, and folders that are looked through; the sub-folders of one folder are labels where at least one
            of them is named after a class.
        out: An output folder among them is passed over.
        classes: Class names.
        labels: Table with the columns ``file`` (its path below the folder, or its name) and ``class``, in place of the
            folders' names.
        event: Pattern whose group ``event`` names a file's event; by default each file is an event.

    Raises:
        UserError: A path or the table cannot be used.
    """
    pattern, table = event_pattern(event), None if labels is None else read_labels(labels)
    listing = Listing()
    for source in sources:
        if not source.exists():
            raise UserError(f"{source}: no such file or folder")
        inside = source.is_dir()
        paths = sorted(walk(source, out), key=lambda path: path.as_posix()) if inside else [source]
        folders = {entry.name for entry in source.iterdir() if entry.is_dir()} if inside else set()
        named = table is None and bool(folders & set(classes))
        for path in paths:
            place = path.relative_to(source).as_posix() if inside else path.name
            name = f"{source.name}/{place}" if inside and len(sources) > 1 else place
            label = place.split("/")[0] if named and "/" in place else UNLABELED
            if table is not None:
                label = table.get(place, table.get(path.name, UNLABELED))
            match = pattern.search(path.name) if pattern is not None else None
            if pattern is not None and (match is None or not match["event"]):
                listing.skipped.append(("", name, f"its name does not match --event {pattern.pattern}"))
                continue
            listing.files.append(SourceFile(path, name, label, match["event"] if match else os.path.splitext(name)[0]))
    if not listing.files:
        raise UserError(f"{', '.join(map(str, sources))}: no waveform files; give files, or a folder that holds some")
    if table is not None and not any(file.label != UNLABELED for file in listing.files):
        raise UserError(f"--labels {labels}: its column 'file' names none of the files ({listing.files[0].name}, ...)")
    return listing


def read_labels(path: Path) -> dict[str, str]:
    """Read a table of labels: file -> class.

    Raises:
        UserError: It cannot be read, lacks a column, or names a file twice with different classes.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST_LABELS)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"--labels {path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    for column in ("file", "class"):
        if column not in table:
            raise UserError(f"--labels {path}: has no column {column!r}; {nearest(column, table.columns)}")
    found: dict[str, str] = {}
    for row, (file, label) in enumerate(zip(table["file"], table["class"], strict=True), start=2):
        file, label = str(original(file)), str(original(label)) or UNLABELED
        if found.setdefault(file, label) != label:
            raise UserError(f"--labels {path}, row {row}: {file} is {label!r} here and {found[file]!r} above; keep one")
    return found
