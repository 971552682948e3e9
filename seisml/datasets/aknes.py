"""The Åknes rockslope data set: ``seisml prepare aknes`` reads the published archive, and fetches it on request.

Langet & Silverberg (2023), doi 10.5194/esurf-11-89-2023: eight three-component geophones, 24 traces of 16 s at 1000 Hz,
one SEG-2 file per event in ``AknesDataFiles/DataSamples/<class>/<year>_<day>_<n>_<id>.dat``.
"""

from __future__ import annotations

import csv
import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.prepare.download import DownloadError, fetch, unpack
from seisml.prepare.files import Listing, SourceFile, prepare_files
from seisml.prepare.folder import (
    add_preprocessing_arguments,
    add_store_arguments,
    class_folders,
    preprocessing_options,
    store_options,
)
from seisml.store.tables import UNLABELED
from seisml.waveforms.listing import walk

EXAMPLE = "seisml prepare aknes data/aknes_archive --download --out data/aknes"

DRIVE_ID = "1UZ_wAc1Wvv6NfyaxgV5vaps9KT1rvZz3"
FIGSHARE_ARTICLE = "21340101"
DOI = f"doi 10.6084/m9.figshare.{FIGSHARE_ARTICLE}.v1"
DRIVE_URL = f"https://drive.usercontent.google.com/download?id={DRIVE_ID}&export=download&confirm=t"
FIGSHARE_URL = f"https://figshare.com/ndownloader/articles/{FIGSHARE_ARTICLE}/versions/1"
PUBLISHED_COUNTS = {
    "Noise": 8,
    "Regional": 292,
    "Rockfall": 215,
    "Slope_HF": 448,
    "Slope_LF": 218,
    "Slope_Multi": 207,
    "Slope_Tremor": 212,
    "Spike": 218,
    UNLABELED: 1611,
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source",
        metavar="SRC",
        type=Path,
        nargs="?",
        default=Path("data/aknes_archive"),
        help="the unpacked archive: AknesDataFiles, its parent, or DataSamples (default: %(default)s)",
    )
    parser.add_argument(
        "--out", metavar="STORE", type=Path, default=Path("data/aknes"), help="store to make (default: %(default)s)"
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch the public archive into SRC first (continued where it stopped, tested, then unpacked)",
    )
    parser.add_argument("--url", help="fetch it from this address instead of Google Drive or figshare")
    parser.add_argument("--checksum", help="refuse another archive: md5:... (figshare shows it) or sha256:...")
    add_preprocessing_arguments(parser)
    add_store_arguments(parser)


def run(arguments: Namespace) -> int:
    """Prepare the store from the archive.

    Returns:
        Exit code 0.

    Raises:
        UserError: The archive is not there or cannot be fetched, or no file of it could be used.
    """
    steps, how = preprocessing_options(arguments), store_options(arguments)
    source: Path = arguments.source
    samples = find_samples(source)
    if samples is None and arguments.download:
        download(source, [arguments.url] if arguments.url else [DRIVE_URL, FIGSHARE_URL], arguments.checksum)
        samples = find_samples(source)
    if samples is None:
        raise UserError(
            f"{source}: no AknesDataFiles/DataSamples/<class>/*.dat in it; name the unpacked archive, or add --download"
        )
    listing = list_files(source, samples, how.out)
    return prepare_files(listing, how, steps, {"command": "aknes"})


def download(folder: Path, urls: list[str], checksum: str | None = None) -> None:
    """Fetch and unpack the archive from the first address that gives it.

    Args:
        folder: Where it goes.
        urls: Addresses to try, in order.
        checksum: What the archive must have; see :func:`fetch`.

    Raises:
        UserError: None of them gives it, or what came is damaged or unsafe.
    """
    failures = []
    for url in urls:
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        archive = folder / f"aknes-{digest}.zip"  # each address has another file: one never continues another's
        try:
            fetch(url, archive, checksum=checksum)
        except DownloadError as error:
            failures.append(str(error))
            continue
        unpack(archive, folder)
        archive.unlink()
        return
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    raise UserError(
        f"cannot download the archive ({'; '.join(failures)}): check the network and run again, "
        f"or fetch it by hand ({DOI}) and unpack it in {folder}"
    )


def find_samples(source: Path) -> Path | None:
    """Find ``DataSamples`` in the archive, whichever of its folders was named; None where it is not there."""
    if not source.is_dir():
        return None
    candidates = [source / "DataSamples", source / "AknesDataFiles" / "DataSamples", source]
    for folder in candidates + sorted(source.glob("*/AknesDataFiles/DataSamples")):
        if any((folder / name).is_dir() for name in PUBLISHED_COUNTS):
            return folder
    return None


def list_files(source: Path, samples: Path, out: Path) -> Listing:
    """List the events with their labels, sorted by class and file name.

    The label is the index's (a CSV with columns ``fname,event``) where it lists the file, else the folder's name.

    Raises:
        UserError: There are no class folders, or an index contradicts itself.
    """
    folders = class_folders(samples, out)
    paths = {path: label for label, folder in folders.items() for path in walk(folder, out)}
    listing = Listing(classes=list(folders))
    listing.index_files = sorted({path for place in _index_places(source, samples) for path in place.glob("*.csv")})
    listing.index_files = [path for path in listing.index_files if _is_index(path)]
    labels = _read_indices(listing, samples, list(paths))
    listing.skipped += [(name, f"{name}/", "empty class folder") for name in folders if name not in paths.values()]
    if listing.index_files:
        names = ", ".join(path.name for path in listing.index_files)
        moved = sum(label != paths[path] for path, label in labels.items())
        listing.notes.append(f"{len(labels)} labels from {names}, {moved} of them other than the folder's name")
        unlisted = sorted(path.name for path in paths if path not in labels)
        if unlisted:
            some = ", ".join(unlisted[:5]) + (", ..." if len(unlisted) > 5 else "")
            listing.notes.append(f"{len(unlisted)} files are not in {names} and take their folder's name: {some}")
    published = sum(PUBLISHED_COUNTS.values())
    if len(paths) != published:
        listing.notes.append(f"{len(paths)} files here, {published} in the published archive")
    for path, label in paths.items():
        name = path.relative_to(samples).as_posix()
        listing.files.append(SourceFile(path, name, labels.get(path, label), path.stem))
    listing.files.sort(key=lambda file: (file.label, file.path.name, file.name))
    return listing


def _index_places(source: Path, samples: Path) -> set[Path]:
    """Folders an index may lie in: beside the samples, and up to the folder that was named."""
    between = [parent for parent in samples.parents if parent == source or source in parent.parents]
    return {samples, samples.parent, *between}


def _is_index(path: Path) -> bool:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError):
        return False
    return {"fname", "event"} <= {name.strip() for name in header}


def _read_indices(listing: Listing, samples: Path, paths: list[Path]) -> dict[Path, str]:
    """Match the rows of the index files to files; rows without a file go to what is left out."""
    by_tail = {path.relative_to(samples).as_posix().lower(): path for path in paths}
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        by_name.setdefault(path.name.lower(), []).append(path)
    labels: dict[Path, str] = {}
    for index in listing.index_files:
        with index.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, skipinitialspace=True):
                cells = {key.strip(): (value or "").strip() for key, value in row.items() if isinstance(key, str)}
                name, label = cells.get("fname", "").replace("\\", "/"), cells.get("event", "") or UNLABELED
                if not name:
                    continue
                same_name = by_name.get(name.lower().rsplit("/", 1)[-1], [])
                path = by_tail.get("/".join(name.lower().split("/")[-2:]))
                path = path or (same_name[0] if len(same_name) == 1 else None)
                if path is None:
                    listing.skipped.append((label, name, f"listed in {index.name} but not there"))
                elif labels.setdefault(path, label) != label:
                    raise UserError(
                        f"{index}: {name} is {label} here and {labels[path]} in another row; keep one of them"
                    )
    return labels


class AknesDataModule(StoreDataModule):
    """The Åknes rockslope events: 24 traces of 16 s at 1000 Hz. Arguments as in :class:`StoreDataModule`.

    The eight events of class Noise are tested but not trained on, as published.
    """

    citation = "Langet and Silverberg (2023), doi 10.5194/esurf-11-89-2023; data doi 10.6084/m9.figshare.21340101.v1"

    def __init__(
        self,
        root: str = "data/aknes",
        zero_weight_classes: Sequence[str] = ("Noise",),
        drop_last: bool | None = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(root, zero_weight_classes=zero_weight_classes, drop_last=drop_last, **kwargs)

    def how_to_make(self) -> str:
        """Say how the store is made."""
        return (
            f"make it with `seisml prepare aknes SRC --out {self.root}` (--download fetches the public archive) "
            "or point dataset.root=... at a store of yours"
        )
