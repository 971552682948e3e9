"""``seisml export``: a trained model as a folder that can be handed on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from seisml.errors import shown
from seisml.files import new_folder
from seisml.inference.exporting import write_onnx, write_program
from seisml.inference.trained import classifier
from seisml.methods.classifier import Classifier
from seisml.run.build import load_method
from seisml.run.bundle import write_bundle

EXAMPLE = "seisml export runs/nz_2013/checkpoints/best.ckpt --out models/nz_2013"


def export(
    checkpoint: str | Path,
    out: str | Path,
    trust: Sequence[str] = (),
    onnx: bool = False,
    program: bool = False,
) -> Path:
    """Write a model bundle: weights, and everything else that is known of the model as JSON.

    Args:
        checkpoint: A run's checkpoint, or another bundle.
        out: The folder to write; nothing may be there.
        trust: Packages whose classes the checkpoint may name.
        onnx: Write ``model.onnx`` beside them: the whole way from windows to probabilities, for other programs.
        program: Write ``model.pt2`` beside them, the same for PyTorch (``torch.export``).

    Returns:
        The folder.

    Raises:
        UserError: The checkpoint cannot be loaded, the folder cannot be written, or a graph gives other numbers.
    """
    method = load_method(checkpoint, trust)
    writers: dict[str, Callable[[Classifier, Path], float]] = {}
    if onnx:
        writers["model.onnx"] = write_onnx
    if program:
        writers["model.pt2"] = write_program
    with new_folder(out) as folder:
        write_bundle(folder, method.state_dict(), method.run_record)
        for name, write in writers.items():
            difference = write(classifier(method, checkpoint), folder / name)
            print(f"{name} gives the same probabilities on random windows, within {difference:.1g}")
    return Path(out)


# -- command line ------------------------------------------------------------------------------------------------------
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a run's checkpoints/best.ckpt or last.ckpt")
    parser.add_argument("--out", required=True, help="folder to write, whole or not at all; nothing may be there yet")
    parser.add_argument(
        "--onnx", action="store_true", help="write model.onnx too: windows to probabilities, spectrogram and all"
    )
    parser.add_argument(
        "--torch-export", action="store_true", dest="program", help="write model.pt2 too: the same for PyTorch"
    )
    parser.add_argument(
        "--trust", nargs="+", default=(), metavar="PACKAGE",
        help="packages whose classes the checkpoint may name: their code runs (default: seisml alone)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the command: returns the exit code."""
    folder = export(arguments.checkpoint, arguments.out, tuple(arguments.trust), arguments.onnx, arguments.program)
    for file in sorted(folder.iterdir()):
        print(f"{shown(file)}: {file.stat().st_size / 2**20:.2f} MiB")
    print(f'use it with seisml predict {shown(folder)} ..., or in Python: seisml.load("{shown(folder)}")')
    return 0
