"""Windows of a continuous record through ConvNetQuake: seisml's scanner against a plain loop and SeisBench, in one run.

    python benchmarks/continuous.py [--days 31] [--baseline-seconds 3600] [--threads 2] [--repeats 1]

Synthetic three-component data at 100 Hz, windows of 10 s every second, weights drawn at random (speed does not depend
on them, but for the share of windows that bfloat16 leaves to float32, --maybe). A plain loop of windows from ObsPy's
Stream.slide with a model call for each batch of 128, and the same network wrapped in SeisBench's
WaveformModel.annotate, see the first --baseline-seconds and are scaled up; seisml goes through every day. All start
from waveforms in memory; reading a day from miniSEED files is timed beside it.

Other engines were tried on this network, batches of 64 on one core of an AMD EPYC with AVX-512, in float32: OpenVINO
2026.4 takes 0.8 to 0.9 of the time of seisml's convolutions, ONNX Runtime 1.31 takes 1.4: not worth a second engine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from obspy import Stream, Trace, UTCDateTime

from seisml.inference.scan import CERTAIN, Scanner
from seisml.inference.window_grid import WindowGrid
from seisml.methods.convnetquake import ConvNetQuake
from seisml.run.precision import device_name
from seisml.tasks.facts import DataFacts
from seisml.transforms.waveform import WaveformFrontEnd
from seisml.waveforms.continuous import DayReader, GridOptions
from seisml.waveforms.preprocessing import Preprocessing
from seisml.waveforms.streams import index_streams, station_days

RATE, LENGTH, BATCH = 100.0, 1000, 128
CLASSES = ("noise", *(f"cluster {i}" for i in range(1, 7)))
START = UTCDateTime(2020, 3, 28)


def clock(function: Callable[[], object], repeats: int = 1) -> float:
    """Least seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def make_day(seed: int, n_samples: int) -> np.ndarray:
    """Noise in counts, (3, n_samples) float32."""
    return np.rint(500 * np.random.default_rng(seed).standard_normal((3, n_samples), dtype=np.float32))


def as_stream(waveform: np.ndarray) -> Stream:
    header = {"network": "XX", "station": "AAA", "sampling_rate": RATE, "starttime": START}
    return Stream([Trace(x, {**header, "channel": f"HH{c}"}) for x, c in zip(waveform, "ZNE", strict=True)])


def plain_loop(method: ConvNetQuake, stream: Stream) -> np.ndarray:
    """Cut, normalise and predict window by window, a model call for each batch."""
    found, batch = [], []

    def call() -> None:
        with torch.inference_mode():
            x = torch.from_numpy(np.stack(batch))
            found.append(torch.softmax(method.classifier(method.encoder(x)), dim=-1).numpy())
        batch.clear()

    for window in stream.slide(window_length=(LENGTH - 1) / RATE, step=1.0):
        x = np.stack([trace.data for trace in window]).astype(np.float32)
        x -= x.mean(axis=1, keepdims=True)
        batch.append(x / x.std(axis=1, ddof=1, keepdims=True))
        if len(batch) == BATCH:
            call()
    if batch:
        call()
    return np.concatenate(found)


def seisbench_model(method: ConvNetQuake):
    """The same network as a SeisBench model that predicts a point per window."""
    from seisbench.models.base import WaveformModel

    class Wrapped(WaveformModel):
        def __init__(self) -> None:
            super().__init__(
                component_order="ZNE", sampling_rate=RATE, output_type="point", in_samples=LENGTH,
                pred_sample=LENGTH // 2, labels=list(CLASSES),
            )  # fmt: skip
            self.encoder, self.classifier = method.encoder, method.classifier

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.classifier(self.encoder(x)), dim=-1)

        def annotate_batch_pre(self, batch: torch.Tensor, argdict: dict) -> torch.Tensor:
            batch = batch - batch.mean(axis=-1, keepdims=True)
            return batch / batch.std(axis=-1, keepdims=True)

    return Wrapped().eval()


def quieten(method: ConvNetQuake, hour: np.ndarray, grid: WindowGrid, share: float) -> None:
    """Shift the noise class so that a share of the windows may be events; bfloat16 computes these again in float32."""
    scores = np.log(scan(Scanner(method, grid), hour, grid).astype(np.float64))
    others = np.log(np.exp(scores[:, 1:]).sum(axis=1)) - scores[:, 0]  # log of p(event) / p(noise)
    with torch.no_grad():
        method.classifier.bias[0] += float(np.quantile(others, 1 - share)) - np.log(CERTAIN / (1 - CERTAIN))


def scan(scanner: Scanner, waveform: np.ndarray, grid: WindowGrid) -> np.ndarray:
    """All windows of a record, an hour at a time as ``seisml predict`` does."""
    n_windows = (waveform.shape[1] - grid.n_samples) // grid.step_samples + 1
    parts = []
    for first, last in grid.pieces(0, n_windows):
        start = first * grid.step_samples
        usable = np.ones((last - first, 3), dtype=bool)
        parts.append(scanner(waveform[:, start : start + grid.span(last - first)], usable))
    return np.concatenate(parts)


def read_day(folder: Path, grid: WindowGrid) -> None:
    """Read a day from files onto the grid, an hour at a time."""
    (task, *_), _ = station_days(index_streams([folder]), "ZNE", 20.0)
    reader = DayReader(task, GridOptions(Preprocessing(sampling_rate=grid.sampling_rate), grid.length))
    for first, last in grid.pieces(0, grid.per_day - round(grid.length)):
        reader.read(first * grid.step_samples, grid.span(last - first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=31, help="days that seisml goes through (default: 31)")
    parser.add_argument("--day-seconds", type=int, default=86400, help="length of a day, for trials (default: 86400)")
    parser.add_argument("--baseline-seconds", type=int, default=3600, help="what the others see (default: 3600)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch threads")
    parser.add_argument("--repeats", type=int, default=1, help="the best of this many counts (default: 1)")
    parser.add_argument("--maybe", type=float, default=0.05, help="share of windows that may be events (default: 0.05)")
    parser.add_argument("--skip-seisbench", action="store_true", help="where SeisBench is not installed")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    facts = DataFacts(CLASSES, RATE, LENGTH)
    method = ConvNetQuake(facts=facts, front_end=WaveformFrontEnd("std")).eval()
    grid = WindowGrid.every(1.0, RATE, LENGTH)
    n_samples = round(args.day_seconds * RATE)
    days = [make_day(seed, n_samples) for seed in range(args.days)]
    hour = np.ascontiguousarray(days[0][:, : round(args.baseline_seconds * RATE)])
    month = 86400 * args.days  # what the numbers are scaled to
    stream = as_stream(hour)
    quieten(method, hour, grid, args.maybe)

    seconds: dict[str, float] = {}
    outputs: dict[str, np.ndarray] = {}
    plain_loop(method, as_stream(hour[:, : 200 * round(RATE)]))  # warm up
    seconds["plain loop, batches of 128"] = clock(lambda: plain_loop(method, stream), args.repeats)
    outputs["plain loop, batches of 128"] = plain_loop(method, as_stream(hour[:, : 200 * round(RATE)]))
    if not args.skip_seisbench:
        model = seisbench_model(method)
        options = {"overlap": LENGTH - grid.step_samples, "stride": grid.step_samples, "batch_size": 256}
        small = model.annotate(as_stream(hour[:, : 200 * round(RATE)]), **options)
        seconds["SeisBench annotate"] = clock(lambda: model.annotate(stream, **options), args.repeats)
        outputs["SeisBench annotate"] = np.stack([trace.data for trace in small], axis=1)
    names = list(seconds)
    rate = {name: value / (args.baseline_seconds - LENGTH / RATE + 1) for name, value in seconds.items()}
    for precision in ("float32", "bfloat16"):
        name = f"seisml, {precision}"
        scanner = Scanner(method, grid, precision, tuple(range(1, len(CLASSES))))
        outputs[name] = scan(scanner, hour[:, : 200 * round(RATE)], grid)
        took = sum(clock(lambda day=day: scan(scanner, day, grid), args.repeats) for day in days)  # noqa: B023
        rate[name] = took / (args.days * (args.day_seconds - LENGTH / RATE + 1))
        names.append(name)

    print(
        f"\n{args.days} days of 3 components at 100 Hz, 10 s every second = {month:,} windows; {args.threads} threads, "
        f"{device_name('cpu')}"
    )
    reference = outputs["seisml, float32"]
    print(f"{'':<28}{'per day (s)':>12}{'all (s)':>10}{'windows/s':>12}{'f32 is faster by':>18}{'max diff':>10}")
    for name in names:
        n = min(len(outputs[name]), len(reference))
        difference = float(np.abs(outputs[name][:n] - reference[:n]).max())
        ratio = rate[name] / rate["seisml, float32"]
        print(
            f"{name:<28}{86400 * rate[name]:>12.2f}{month * rate[name]:>10.1f}{1 / rate[name]:>12,.0f}"
            f"{ratio:>18.2f}{difference:>10.1e}"
        )
    for name in names[:-2]:
        print(f"seisml in bfloat16 is {rate[name] / rate['seisml, bfloat16']:.1f} times faster than {name}")
    with tempfile.TemporaryDirectory() as folder:
        for trace in as_stream(days[0].astype(np.int32)):
            trace.write(str(Path(folder) / f"{trace.id}.mseed"), format="MSEED", encoding="STEIM2")
        reading = clock(lambda: read_day(Path(folder), grid), args.repeats) * 86400 / args.day_seconds
    print(
        f"reading a day from miniSEED files (Steim-2) beside it: {reading:.2f} s, {reading * args.days:.0f} s for all"
    )


if __name__ == "__main__":
    main()
