"""Whether a waveform file still holds what it was written with: what ObsPy passes over without a word."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisml.waveforms.process import Unusable

if TYPE_CHECKING:
    from obspy import Stream


def lost_content(kind: str, path: Path, size: int, stream: Stream) -> str:
    """What a whole file lost that ObsPy does not notice.

    Args:
        kind: ObsPy's name of its format.
        path: The file.
        size: Its bytes.
        stream: All that ObsPy read from it.

    Returns:
        What is missing; empty where everything is there.
    """
    if kind == "MSEED":
        return _lost_records(path, size, stream)
    if kind in ("GSE2", "GSE1"):
        text = path.read_bytes()
        number = kind[-1].encode()
        counts = {len(re.findall(rb"^" + word + number, text, re.MULTILINE)) for word in (b"WID", b"DAT", b"CHK")}
        if counts != {len(stream)}:
            return f"one of its traces is damaged ({max(counts)} are named, {len(stream)} found)"
    return ""


def _lost_records(path: Path, size: int, stream: Stream) -> str:
    """A miniSEED file is made of whole records; ObsPy drops those that are cut or damaged.

    The fixed header of a record (SEED manual, chapter 8): sequence number, quality (D, R, Q, M), at byte 20 the year,
    at byte 30 the number of samples, at byte 32 the rate, which is 0 for logs.
    """
    lengths = {trace.stats.mseed.get("record_length") for trace in stream if "mseed" in trace.stats}
    if len(lengths) != 1 or None in lengths:
        return ""
    length = lengths.pop()
    if size % length:
        return "truncated miniSEED file (its last record is cut)"
    records = np.memmap(path, np.uint8, "r", shape=(size // length, length))[:, :48].copy()
    data = np.isin(records[:, 6], np.frombuffer(b"DRQM", np.uint8))
    other = np.isin(records[:, 6], np.frombuffer(b"VAST", np.uint8))  # of full SEED
    for filling in (0, ord(" ")):
        other |= (records == filling).all(axis=1)
    damaged = int((~data & ~other).sum())
    if damaged:
        return f"{damaged} of {len(records)} miniSEED records are damaged"
    if not data.any():
        return ""
    words = records[data][:, 20:].copy()
    order = ">" if 1800 <= int.from_bytes(words[0, :2].tobytes(), "big") <= 2200 else "<"
    counts, rates = words[:, 10:12].copy().view(f"{order}u2"), words[:, 12:14].copy().view(f"{order}i2")
    promised = int(counts[rates != 0].sum())
    n_samples = sum(trace.stats.npts for trace in stream if trace.stats.sampling_rate)
    if promised != n_samples:
        return f"its miniSEED records promise {promised} samples, {n_samples} could be read"
    return ""


def seg2_is_whole(path: Path, head: bytes) -> bool:
    """Whether a SEG-2 file reaches as far as its last trace's descriptor says (SEG-2 standard, Pullan 1990)."""
    order = "<" if head[:2] == b"\x55\x3a" else ">"
    try:
        _, n_traces = struct.unpack_from(f"{order}HH", head, 4)
        pointers = struct.unpack_from(f"{order}{n_traces}I", head, 32)
        size = path.stat().st_size
        if not pointers:
            return False
        with path.open("rb") as file:
            for pointer in pointers:
                file.seek(pointer)
                _, descriptor, data = struct.unpack(f"{order}HHI", file.read(8))
                if pointer + descriptor + data > size:
                    return False
    except (struct.error, OSError):
        return False
    return True


def check_places(path: Path, column: int) -> None:
    """Refuse a CSS table that names files outside its folder.

    Args:
        path: The table.
        column: Of the folder's name, 64 columns wide; the file's follows.

    Raises:
        Unusable: It does.
    """
    folder = path.parent.resolve()
    for line in path.read_bytes().splitlines():
        named = line[column : column + 64].strip(), line[column + 65 : column + 97].strip()
        place = folder.joinpath(*(part.decode(errors="replace") for part in named)).resolve()
        if not place.is_relative_to(folder):
            raise Unusable("names files outside its folder, which are not read")
