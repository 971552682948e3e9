"""The one way to read a waveform file: ObsPy behind a guard, plain arrays out, or a short reason why not.

Nothing that a file says is run, opened or allocated before it is checked: the format is decided by content from a list
without ObsPy's pickles, archives are not unpacked, names are neither patterns nor addresses, and rates, times and
numbers of samples must be believable. A damaged file can still crash the C code below ObsPy: call these functions in
another process (:mod:`seisml.workers.pool`).
"""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seisml.waveforms.intact import check_places, lost_content, seg2_is_whole
from seisml.waveforms.process import Unusable
from seisml.waveforms.sac_header import sac_header, sac_rate
from seisml.waveforms.traces import Bounds, RawTrace, TraceHeader, WaveformFile

if TYPE_CHECKING:
    from obspy import Stream, Trace

# ObsPy's waveform formats in the order in which it looks for them. Not PICKLE: even asking whether a file is one
# unpickles it, which runs what the file says. Plugins of other packages are not asked either.
FORMATS = (
    "MSEED", "SAC", "GSE2", "SEISAN", "SACXY", "GSE1", "Q", "SH_ASC", "SLIST", "TSPAIR", "Y", "SEGY", "SU", "SEG2",
    "WAV", "WIN", "CSS", "NNSA_KB_CORE", "AH", "PDAS", "KINEMETRICS_EVT", "GCF", "DMX", "ALSEP_PSE", "ALSEP_WTN",
    "ALSEP_WTH", "CYBERSHAKE", "KNET", "REFTEK130", "RG16",
)  # fmt: skip
_ELSEWHERE = {"CSS": 148, "NNSA_KB_CORE": 149, "Q": None}  # samples lie in other files; column of the folder's name
_SELF_CHECKED = ("MSEED", "SAC", "SEG2", "SEGY", "SU")  # sizes are checked here or by ObsPy, without a second reading

RATES = (1e-4, 1e8)  # Hz that are believed; acoustic emissions are recorded at 1e7
TIMES = (-170 * 365 * 86_400 * 10**9, 230 * 365 * 86_400 * 10**9)  # ns since 1970 that are believed: 1800 to 2200
LARGEST_AMPLITUDE = 1e22  # no sensor counts that far, but a flipped bit of an exponent does
_SAMPLES_PER_BYTE = 2  # the densest packing of any format (WIN's half bytes; Steim-2 has 1.6)

# What ObsPy says about every SEG-2 file, and about rates of SAC files, which are read again here; nothing to act on.
_SILENCED = (
    "Many companies use custom defined SEG2", "Non-zero value found in Trace's 'DELAY'", "unclosed file",
    "Sample spacing read from SAC file", "divide by zero encountered",
)  # fmt: skip


def read_headers(path: str | Path) -> list[TraceHeader]:
    """Read the headers of a waveform file.

    Returns:
        Header of every trace that has samples and a sampling rate.

    Raises:
        Unusable: With the reason.
    """
    path = Path(path).absolute()
    size, head = _open(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = _read(path, _format(path, head), headonly=True)
        headers = _headers(stream, size)
    if not headers:
        without_rate = next((trace.id for trace in stream if trace.stats.npts > 0), None)
        if without_rate is not None:
            raise Unusable(f"the sampling rate of {without_rate} is not believable (damaged header)")
        raise Unusable("no samples in the file")
    return headers


def read_waveforms(
    path: str | Path,
    span: tuple[int, int] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
) -> WaveformFile:
    """Read a waveform file.

    Args:
        path: The file, of any of :data:`FORMATS`.
        span: First and last time wanted, in ns since 1970; None for the whole file. Of a part it is not checked whether
            the file lost something.
        bounds: What is too much to be decoded.

    Returns:
        Its traces; none where nothing lies in the span.

    Raises:
        Unusable: With the reason: it cannot be opened, is not a waveform file, is damaged, promises the unbelievable.
    """
    path = Path(path).absolute()
    size, head = _open(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind = _format(path, head)
        promised = None
        if kind not in _SELF_CHECKED or size * _SAMPLES_PER_BYTE > bounds.n_samples:
            promised = _headers(_read(path, kind, headonly=True), size)
            bounds.check(_wanted(promised, span if kind == "MSEED" else None))
        stream = _read(path, kind, span=span)
        traces = _traces(stream, size)
    if span is None:
        if not len(stream):
            raise Unusable("no waveform in the file")
        if promised is not None and kind not in _SELF_CHECKED:
            _check_promise(promised, traces)
    messages = (str(warning.message).strip().splitlines() for warning in caught)
    texts = {re.sub(r"\d+", "#", lines[0]) for lines in messages if lines and not lines[0].startswith(_SILENCED)}
    lost = lost_content(kind, path, size, stream) if span is None else ""
    return WaveformFile(traces, sorted(texts), lost)


def stream_traces(stream: Stream) -> list[RawTrace]:
    """The traces of a Stream in memory, cut where samples are masked; those that are not numbers are left out.

    Raises:
        Unusable: A rate or a time that is not believable.
    """
    numeric = (trace for trace in stream.split() if trace.data.dtype.kind in "fiu" and trace.data.size)
    return [RawTrace(**vars(_header(trace)), samples=trace.data) for trace in numeric]


def first_line(error: Exception) -> str:
    """The first line of an exception's message, short, or its name."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if len(lines) > 1 and lines[0].endswith(":"):  # libmseed's messages stand below a heading
        lines = lines[1:]
    return lines[0].strip()[:100]


def _open(path: Path) -> tuple[int, bytes]:
    try:
        if not path.is_file():  # a pipe would block
            raise Unusable("not a file" if path.exists() else "cannot be opened (No such file or directory)")
        with path.open("rb") as file:
            head = file.read(4096)
        size = path.stat().st_size
    except OSError as error:
        raise Unusable(f"cannot be opened ({error.strerror})") from error
    if not size:
        raise Unusable("empty file")
    if b"obspy.core.stream" in head[:100]:
        raise Unusable("a pickled ObsPy stream, which is not read because it could run code; save it as miniSEED")
    return size, head


def _format(path: Path, head: bytes) -> str:
    """Find the format by content.

    Raises:
        Unusable: It is none, or a damaged file of one.
    """
    from obspy.core.util.base import ENTRY_POINTS  # slow to import, and not needed by who only reads the help
    from obspy.core.util.misc import buffered_load_entry_point

    seg2 = head[:2] in (b"\x55\x3a", b"\x3a\x55")
    if seg2 and not seg2_is_whole(path, head):  # ObsPy may take what is there for a shorter trace
        raise Unusable("truncated SEG-2 file")
    for name in FORMATS:
        point = ENTRY_POINTS["waveform"].get(name)
        if point is None:  # another release of ObsPy
            continue
        is_format = buffered_load_entry_point(point.dist.name, f"obspy.plugin.waveform.{name}", "isFormat")
        try:
            found = is_format(str(path))
        except Exception:  # what one format's reader stumbles over may be another format
            continue
        if found:
            break
    else:
        raise Unusable("damaged SEG-2 file" if seg2 else "not a waveform format that ObsPy reads")
    if _ELSEWHERE.get(name):
        check_places(path, _ELSEWHERE[name])
    return name


def _read(path: Path, kind: str, headonly: bool = False, span: tuple[int, int] | None = None) -> Stream:
    import obspy

    times = {}
    if span is not None:
        times = {"starttime": obspy.UTCDateTime(ns=span[0]), "endtime": obspy.UTCDateTime(ns=span[1])}
    try:
        # Escaped and absolute, because ObsPy takes a name for a pattern or an address where it looks like one.
        name = glob.escape(str(path))
        is_sac = kind == "SAC"  # cut where its rate is known
        stream = obspy.read(name, format=kind, headonly=headonly, check_compression=False, **({} if is_sac else times))
        if is_sac:
            for trace in stream:
                trace.stats.sampling_rate = sac_rate(float(trace.stats.sac["delta"]))
            if span is not None:
                stream.trim(**times)
        return stream
    except Exception as error:  # whatever a format's reader raises on a damaged file
        if kind == "SEG2":
            raise Unusable("damaged SEG-2 file") from error
        raise Unusable(f"damaged or not a waveform file ({first_line(error)})") from error


def _headers(stream: Iterable[Trace], size: int) -> list[TraceHeader]:
    """Headers of the traces that have samples and a rate, all of them believable."""
    headers = [_header(trace) for trace in stream if trace.stats.npts > 0 and trace.stats.sampling_rate != 0]
    total = sum(header.n_samples for header in headers)
    own_samples = not any(trace.stats._format in _ELSEWHERE for trace in stream)
    if own_samples and total > size * _SAMPLES_PER_BYTE:
        raise Unusable(f"its header promises {total} samples, which {size} bytes cannot hold")
    return headers


def _header(trace: Trace) -> TraceHeader:
    stats = trace.stats
    rate = float(stats.sampling_rate)
    if not RATES[0] <= rate <= RATES[1]:
        raise Unusable(f"a sampling rate of {rate:.10g} Hz in {trace.id} is not believable (damaged header)")
    try:
        start, end = stats.starttime.ns, stats.endtime.ns
    except (OverflowError, ValueError) as error:
        raise Unusable(f"the times of {trace.id} are not believable (damaged header)") from error
    if not TIMES[0] <= start <= end <= TIMES[1]:
        raise Unusable(f"the times of {trace.id} are not believable (damaged header)")
    return TraceHeader(stats.network, stats.station, stats.location, stats.channel, start, end, rate, int(stats.npts))


def _wanted(headers: Sequence[TraceHeader], span: tuple[int, int] | None) -> float:
    """Number of samples that reading a span decodes."""
    total = 0.0
    for header in headers:
        start, end = (header.start, header.end) if span is None else span
        seconds = (min(end, header.end) - max(start, header.start)) * 1e-9
        total += max(0.0, seconds * header.sampling_rate + 1)
    return total


def _traces(stream: Stream, size: int) -> list[RawTrace]:
    numeric = [trace for trace in stream if trace.data.dtype.kind in "fiu" and trace.data.size]
    for trace in numeric:
        if trace.data.size != trace.stats.npts:
            raise Unusable(f"its header promises {trace.stats.npts} samples, the file holds {trace.data.size}")
        if np.ma.is_masked(trace.data):
            raise Unusable(f"masked samples in {trace.id}")
        if not trace.stats.sampling_rate > 0:
            raise Unusable(f"the sampling rate of {trace.id} is not believable (damaged header)")
        if trace.data.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                largest = np.abs(trace.data, where=np.isfinite(trace.data), out=np.zeros_like(trace.data)).max()
            if largest >= LARGEST_AMPLITUDE:
                raise Unusable(f"a sample of {largest:.3g} in {trace.id} is not believable (damaged samples)")
    headers = _headers(numeric, size)
    return [_raw_trace(header, trace) for header, trace in zip(headers, numeric, strict=True)]


def _raw_trace(header: TraceHeader, trace: Trace) -> RawTrace:
    sac = sac_header(trace.stats.sac, header.start, header.end) if trace.stats._format == "SAC" else None
    return RawTrace(**vars(header), samples=trace.data, sac=sac)


def _check_promise(promised: Sequence[TraceHeader], traces: Sequence[RawTrace]) -> None:
    wanted, here = (sum(trace.n_samples for trace in some) for some in (promised, traces))
    if wanted != here:
        raise Unusable(f"its header promises {wanted} samples, the file holds {here}")
