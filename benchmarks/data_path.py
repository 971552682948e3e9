"""The data path of pretraining per event: a prepared store and batched transforms, against one file at a time.

    python benchmarks/data_path.py [--file EVENT.dat] [--events 256] [--threads 2]

Both sides give the same: a reference, a neighbouring and a non-neighbouring crop of the spectrograms of two traces
drawn at random from an event of 24 traces of 16 s at 1000 Hz. One file at a time means ObsPy, SciPy's spectrogram,
logarithm, min-max and a bilinear resize of the two whole pictures. Without --file the events are synthetic miniSEED
files; with it they are copies of that file (a SEG-2 file of the Aknes data, say).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import obspy
import scipy.signal
import torch
import torch.nn.functional as F

from seisml.data.datamodule import StoreDataModule
from seisml.store.writer import StoreWriter
from seisml.terminal.text_table import text_table
from seisml.transforms.pipeline import Augmentations
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.spectrogram import SpectrogramFrontEnd

SAMPLING_RATE, N_TRACES, N_SAMPLES, SIZE = 1000.0, 24, 16000, (128, 711)


def write_files(folder: Path, source: Path | None, n_events: int) -> list[Path]:
    """Write the events as files: copies of one, or synthetic ones."""
    paths = []
    generator = np.random.default_rng(0)
    for number in range(n_events):
        path = folder / f"{number:04d}{source.suffix if source else '.mseed'}"
        if source:
            shutil.copy(source, path)
        else:
            header = {"sampling_rate": SAMPLING_RATE}
            counts = generator.normal(0, 100, (N_TRACES, N_SAMPLES)).astype(np.float32)
            obspy.Stream(
                obspy.Trace(trace, {**header, "station": f"G{i:02d}"}) for i, trace in enumerate(counts)
            ).write(str(path), format="MSEED")
        paths.append(path)
    return paths


def write_store(folder: Path, paths: list[Path]) -> Path:
    """Write the same events as a store."""
    with StoreWriter(folder, {"benchmark": True}, None) as writer:
        for path in paths:
            waveform = np.stack([trace.data.astype(np.float32) for trace in obspy.read(str(path))])
            writer.add(
                waveform,
                {
                    "trace_category": "Unlabeled",
                    "source_id": path.stem,
                    "trace_source_file": path.name,
                    "trace_sampling_rate_hz": SAMPLING_RATE,
                },
            )
    return folder


def per_file(paths: list[Path]) -> None:
    """One file at a time."""
    generator = np.random.default_rng(0)
    half, width = int(0.1 * SIZE[1]) // 2, SIZE[1]
    for path in paths:
        stream = obspy.read(str(path))
        pictures = []
        for trace in generator.integers(0, len(stream), 2):
            _, _, power = scipy.signal.spectrogram(stream[trace].data.astype(np.float32), fs=SAMPLING_RATE, nperseg=80)
            log = np.log10(power + 1)
            scaled = (log - log.min()) / max(float(log.max() - log.min()), 1e-12)
            pictures.append(F.interpolate(torch.from_numpy(scaled)[None, None], SIZE, mode="bilinear"))
        for picture, centre in zip((pictures[0], pictures[1], pictures[1]), (0.3, 0.31, 0.7), strict=True):
            start = int(centre * width) - half
            picture[..., start : start + 2 * half].mul(float(generator.uniform(0.7, 1.3)))


def batched(data: StoreDataModule, front_end: SpectrogramFrontEnd, augmentations: Augmentations) -> None:
    """Whole batches from the store."""
    for batch in data.train_dataloader():
        views = tuple(front_end.picture(draw) for draw in batch["waveform"].split(1, dim=1))
        augmentations(views, SampleRandom(0, batch["epoch"], batch["index"]))


def best_of(repeats: int, function, *arguments) -> float:
    """Least wall-clock time of some calls, in s."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="a real event; copies of it are read")
    parser.add_argument("--events", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", module="obspy")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), arguments.file, arguments.events)
        data = StoreDataModule(
            str(write_store(Path(folder) / "store", paths)), batch_size=arguments.batch_size, is_ssl=True
        )
        data.setup()
        front_end = SpectrogramFrontEnd(floor=1.0, size=SIZE, sampling_rate=SAMPLING_RATE)
        augmentations = Augmentations(["NeighboringCrop", "RandomAmplitudeJitter"])
        with torch.no_grad():
            batched(data, front_end, augmentations)  # first calls set up windows and thread pools
            ours = best_of(arguments.repeats, batched, data, front_end, augmentations)
        n_batched = len(data.train_dataloader()) * arguments.batch_size
        some = paths[: max(16, arguments.events // 8)]
        per_file(some[:2])
        theirs = best_of(arguments.repeats, per_file, some)
    rows = [
        {"data path": "one file at a time", "ms per event": 1e3 * theirs / len(some)},
        {"data path": "store, batched", "ms per event": 1e3 * ours / n_batched},
    ]
    kind = arguments.file.suffix.lstrip(".") if arguments.file else "miniSEED"
    ratio = rows[0]["ms per event"] / rows[1]["ms per event"]
    print(text_table(rows, f"{kind} files, {arguments.threads} threads, best of {arguments.repeats}"))
    print(f"ratio: {ratio:.0f}")


if __name__ == "__main__":
    main()
