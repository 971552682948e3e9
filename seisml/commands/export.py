"""``seisml export``: a trained model as a folder that can be handed on."""

from __future__ import annotations

import argparse

EXAMPLE = "seisml export runs/nz_2013/checkpoints/best.ckpt --out models/nz_2013"


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
    from seisml.inference.export import export  # here, so that --help need not wait for PyTorch

    export(arguments.checkpoint, arguments.out, tuple(arguments.trust), arguments.onnx, arguments.program)
    return 0
