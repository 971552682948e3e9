"""Convolution by hand: edge detectors on a checkerboard and on a spectrogram, beside kernels that a network has learnt.

    python examples/edge_kernels.py --out edge_kernels.png
    python examples/edge_kernels.py --out edge_kernels.png --matrix data/lab_ae.mat --checkpoint runs/.../last.ckpt

On a checkerboard with patches of 5 pixels a 3 x 3 kernel answers on most pixels: hardly one has no edge beside it. With
patches of 50 the answers are thin lines, and each kernel shows edges of one direction.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.signal import convolve2d

from seisml.datasets.labquakes import SpectrogramTable
from seisml.errors import UserError
from seisml.evaluation.figures import save
from seisml.evaluation.figures.style import add_title, new_figure
from seisml.run.build import load_method
from seisml.transforms.matrix import MatrixFrontEnd

N_PATCH, BRIGHT, DARK = 4, 10, 0
KERNELS = {
    "horizontal edges": np.array([[3, 10, 3], [0, 0, 0], [-3, -10, -3]]),
    "vertical edges": np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]]),
    "all edges": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}
MOST_LEARNT = 8  # kernels of a network that are drawn


def checkerboard(patch_dim: int, n_patch: int = N_PATCH, bright: int = BRIGHT, dark: int = DARK) -> np.ndarray:
    """Alternating patches: (n_patch * patch_dim, n_patch * patch_dim), bright in the corner."""
    rows, columns = np.indices((n_patch, n_patch))
    patches = np.where((rows + columns) % 2 == 0, bright, dark)
    return np.kron(patches, np.ones((patch_dim, patch_dim), dtype=int))


def edges(image: np.ndarray) -> dict[str, np.ndarray]:
    """The image convolved with each kernel, without its border: (F - 2, W - 2) each."""
    return {name: convolve2d(image, kernel, mode="valid") for name, kernel in KERNELS.items()}


def learnt_kernels(checkpoint: Path) -> np.ndarray:
    """Kernels (n, k, k) of the first convolution of a trained network.

    Raises:
        UserError: The network has none.
    """
    weights = load_method(checkpoint).encoder.state_dict()
    first = next((weight for weight in weights.values() if weight.ndim == 4), None)
    if first is None:
        raise UserError(f"{checkpoint}: has no convolution on pictures; give a run of +experiment=labquakes_cnn")
    return first[:MOST_LEARNT, 0].numpy()


def draw(images: dict[str, np.ndarray], kernels: np.ndarray | None = None) -> Figure:
    """Draw images (a row each) with what the kernels make of them, and below a network's kernels (n, k, k)."""
    n_rows = len(images) + (kernels is not None)
    figure = new_figure(11.0, 2.6 * n_rows)
    rows = figure.subfigures(n_rows, 1) if n_rows > 1 else [figure.subfigures(1, 1)]
    for part, (name, image) in zip(rows, images.items(), strict=False):
        for axes, (title, picture) in zip(part.subplots(1, 4), {name: image, **edges(image)}.items(), strict=True):
            bound = np.abs(picture).max()
            signed = title in KERNELS
            look = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound} if signed else {"cmap": "magma"}
            axes.imshow(picture, aspect="auto", origin="lower", interpolation="nearest", **look)
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    if kernels is not None:
        bound = np.abs(kernels).max()
        for axes, kernel in zip(rows[-1].subplots(1, len(kernels), squeeze=False)[0], kernels, strict=True):
            axes.imshow(kernel, cmap="RdBu_r", vmin=-bound, vmax=bound)
            axes.set_axis_off()
        rows[-1].suptitle("first kernels of the trained network", fontsize=9)
    add_title(figure, "Edge kernels: red where the convolution is positive, blue where it is negative")
    return figure


def main(argv: list[str] | None = None) -> int:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description="Edge kernels on checkerboards, a spectrogram, and learnt ones.")
    parser.add_argument("--out", type=Path, required=True, help="figure to write")
    parser.add_argument("--matrix", type=Path, help="spectrograms, from `seisml prepare spectrograms`")
    parser.add_argument("--column", type=int, default=0, help="which of them (default: %(default)s)")
    parser.add_argument("--n-frequencies", type=int, default=65, help="its rows (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="a trained convolutional network")
    arguments = parser.parse_args(argv)
    images = {f"patches of {size} pixels": checkerboard(size) for size in (5, 50)}
    try:
        if arguments.matrix:
            images |= {"a spectrogram (log)": spectrogram(arguments.matrix, arguments.column, arguments.n_frequencies)}
        kernels = learnt_kernels(arguments.checkpoint) if arguments.checkpoint else None
    except UserError as error:
        parser.error(str(error))
    print(save(draw(images, kernels), arguments.out))
    return 0


def spectrogram(path: Path, column: int, n_frequencies: int) -> np.ndarray:
    """One spectrogram (F, W) of a table, its logarithm standardised."""
    table = SpectrogramTable(path)
    if not 0 <= column < len(table):
        raise UserError(f"--column {column}: {path} has columns 0 to {len(table) - 1}")
    flat = torch.from_numpy(table.read_traces(np.array([column]), np.array([[0]])))
    return MatrixFrontEnd(n_frequencies)(flat)[0, 0].numpy()


if __name__ == "__main__":
    raise SystemExit(main())
