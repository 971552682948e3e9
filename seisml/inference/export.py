"""A trained model as a folder that can be handed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seisml.errors import shown
from seisml.files import new_folder
from seisml.inference.exporting import write_onnx, write_program
from seisml.inference.trained import classifier
from seisml.methods.base import Method
from seisml.methods.classifier import Classifier
from seisml.run.build import load_method
from seisml.run.bundle import write_bundle


def export(
    checkpoint: str | Path,
    out: str | Path,
    trust: Sequence[str] = (),
    onnx: bool = False,
    program: bool = False,
) -> Path:
    """Write a model bundle: weights, and everything else that is known of the model as JSON; say what it is for.

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
    with new_folder(out) as made:
        write_bundle(made, method.state_dict(), method.run_record)
        for name, write in writers.items():
            difference = write(classifier(method, checkpoint), made / name)
            print(f"{name} gives the same probabilities on random windows, within {difference:.1g}")
    folder = Path(out)
    for file in sorted(folder.iterdir()):
        print(f"{shown(file)}: {file.stat().st_size / 2**20:.2f} MiB")
    print(_use(method, shown(folder)))
    return folder


def _use(method: Method, folder: str) -> str:
    """What people do with the folder next."""
    if isinstance(method, Classifier):
        return f'use it with seisml predict {folder} ..., or in Python: seisml.load("{folder}")'
    if method.encoder_settings():
        return f"use its encoder with python finetune.py load_encoder.ckpt_fname={folder} ..."
    return f'it gives {method.task.gives}; use it in Python: seisml.run.build.load_method("{folder}")'
