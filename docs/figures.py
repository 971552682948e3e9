"""The pictures of the documentation, each from runs of this project's commands: ``make docs`` calls this, then MkDocs.

    python docs/figures.py [--only NAME ...] [--data ../shared/data]

Runs go below ``runs/docs`` and are not done again where they are finished. A picture whose recordings are not at hand
stays as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from obspy import read
from scipy.io import loadmat

from seisml.evaluation.figures.gallery import draw_spectrogram, draw_waveform, time_axis
from seisml.evaluation.figures.style import SMALL, new_figure, save

DOCS = Path(__file__).resolve().parent
REPO = DOCS.parent
RUNS = REPO / "runs" / "docs"
SEISML = ("-m", "seisml.cli")


def command(*words: str | Path) -> None:
    """Run a command line of the project, ``python WORDS``, from its top; a failure ends the script."""
    print("+ python", *words, flush=True)
    subprocess.run([sys.executable, *map(str, words)], cwd=REPO, check=True)


def take(source: Path, name: str) -> None:
    """Copy a picture that a command has drawn."""
    shutil.copyfile(source, DOCS / name)
    print(f"docs/{name}", flush=True)


def demonstration(data: Path) -> None:
    """The figures of ``seisml demo``: accuracies, and the gallery of its fine-tuning."""
    folder = RUNS / "demo"
    if not (folder / "001" / "accuracy.png").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        command(*SEISML, "demo", "--out", folder)
    take(folder / "001" / "accuracy.png", "demo_accuracy.png")
    take(folder / "001" / "4_fine-tuning_of_the_encoder" / "figures" / "gallery.png", "gallery.png")


def lanl(data: Path) -> None:
    """Seed 0 of the comparison on the synthetic laboratory record."""
    command("benchmarks/lanl_comparison.py", "--seeds", "1", "--out", RUNS / "lanl")
    take(RUNS / "lanl" / "courses.png", "lanl_courses.png")


def kernels(data: Path) -> None:
    """Edge kernels on checkerboards."""
    command("examples/edge_kernels.py", "--out", DOCS / "lab_ae_edges.png")


def exercise(data: Path) -> None:
    """A record of each class of the laboratory's, and what the perceptron takes for another."""
    matrix, run = RUNS / "lab_ae.mat", RUNS / "lab_ae_mlp"
    event = r"(?P<event>.+)_OL\d+"
    command(*SEISML, "prepare", "spectrograms", data / "lab_ae", "--out", matrix, "--event", event)
    if not (run / "figures").is_dir():
        shutil.rmtree(run, ignore_errors=True)
        experiment = ("+experiment=labquakes_mlp", "trainer_params.max_epochs=20")
        command("finetune.py", *experiment, f"dataset.root={matrix}", f"hydra.run.dir={run}")
    take(run / "figures" / "false_predictions.png", "lab_ae_errors.png")
    save(draw_classes(matrix, data / "lab_ae"), DOCS / "lab_ae_classes.png")


def draw_classes(matrix: Path, folder: Path) -> Figure:
    """A strong record of each class: waveform, power, and the logarithm of the power."""
    table = loadmat(matrix)
    classes = [str(name).strip() for name in table["classes"]]
    files = [str(name).strip() for name in table["files"]]
    spectra, labels = table["mSpec"][:-1], table["mSpec"][-1].astype(int)
    figure = new_figure(9.0, 5.4)
    panels = figure.subplots(3, len(classes))
    for number, name in enumerate(classes):
        columns = np.flatnonzero(labels == number)
        column = columns[np.argsort(spectra[:, columns].sum(axis=0))[len(columns) * 3 // 4]]  # of the stronger ones
        trace = read(str(folder / files[column]))[0]
        time, unit = time_axis(trace.stats.npts, trace.stats.sampling_rate)
        power = spectra[:, column].reshape(65, -1)
        band = (0.0, trace.stats.sampling_rate / 2)
        draw_waveform(panels[0, number], trace.data.astype(float), time)
        panels[0, number].set_title(name)
        for row, (picture, words) in enumerate(((power, "power"), (np.log10(power + 1e-30), "its logarithm")), start=1):
            draw_spectrogram(panels[row, number], picture, time[-1], band, first=number == 0)
            panels[row, number].set_title(words, fontsize=SMALL)
        panels[2, number].set_xlabel(f"time ({unit})", fontsize=SMALL)
    return figure


Draw = Callable[[Path], None]  # from the folder of real recordings
PICTURES: dict[str, tuple[Draw, str | None]] = {  # name -> (what draws it, recordings it needs)
    "demo": (demonstration, None),
    "kernels": (kernels, None),
    "exercise": (exercise, "lab_ae"),
    "lanl": (lanl, None),
}


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description="Draw the documentation's pictures.")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES), help="which (default: all)")
    parser.add_argument("--data", type=Path, default=REPO.parent / "shared" / "data", help="folder of real recordings")
    arguments = parser.parse_args()
    for name in arguments.only:
        draw, needed = PICTURES[name]
        if needed and not (arguments.data / needed).is_dir():
            print(f"{name}: its picture stays as it is, for {arguments.data / needed} is not there", flush=True)
            continue
        draw(arguments.data)


if __name__ == "__main__":
    main()
