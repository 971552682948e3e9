"""Checkpoints: encoders in the published layout, whole runs, and clear words about foreign files."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seisml.errors import UserError, nearest

if TYPE_CHECKING:
    from seisml.methods.base import Method

State = Mapping[str, Tensor]


def save_encoder(method: Method, path: Path, epoch: int) -> None:
    """Save a method's encoder in the published layout, with what it takes to use it on waveforms.

    ``{"epoch", "model_state_dict"}`` with keys such as ``model.conv1.weight``, and beside them ``seisml``: the front
    end and its state, the backbone, the data's facts and the events that the encoder has seen.

    Args:
        method: A trained method with an ``encoder``.
        path: The file to write; its folder is made.
        epoch: Epochs trained.
    """
    record = {**method.run_record, "front_end_state": method.front_end.state_dict()}
    atomic_save({"epoch": epoch, "model_state_dict": method.encoder.state_dict(), "seisml": record}, path)


def atomic_save(values: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside its place and move it there, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        torch.save(values, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without unpickling anything but tensors and plain values.

    Args:
        path: The file.

    Returns:
        What the file holds, on the CPU.

    Raises:
        UserError: Where the file is missing, truncated or not a checkpoint of tensors.
    """
    path = Path(path)
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.ckpt")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"there is no checkpoint in {path.parent}"
        raise UserError(f"checkpoint {path} does not exist; {hint}")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"checkpoint {path} is not a file of tensors and plain values, and is not unpickled; "
            "save its state_dict alone (torch.save(encoder.state_dict(), ...)) and load that"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"checkpoint {path} is damaged or truncated; copy or make it again") from error
    if not isinstance(values, dict):
        raise UserError(f"checkpoint {path} holds a {type(values).__name__}, not a dictionary of weights")
    return values


def encoder_state(values: Mapping[str, Any], path: str | Path) -> dict[str, Tensor]:
    """Find the encoder's weights in a checkpoint.

    Reads encoders in the published layout, bare state dicts, and checkpoints of whole runs (their ``encoder.`` part).

    Args:
        values: What :func:`read_checkpoint` returned.
        path: For the message.

    Returns:
        State of the encoder.

    Raises:
        UserError: Where there is none.
    """
    state = values.get("model_state_dict", values.get("state_dict", values))
    if isinstance(state, Mapping) and any(key.startswith("encoder.") for key in state):
        state = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"checkpoint {path} holds no encoder (looked for model_state_dict, state_dict and encoder.*; "
            f"it has {', '.join(list(map(str, values))[:5]) or 'nothing'}); give one that sslearn.py wrote"
        )
    return dict(state)


def load_weights(module: nn.Module, state: State, path: str | Path, key: str = "load_encoder.backbone_type") -> None:
    """Load weights, every key and shape checked.

    Args:
        module: Where they go.
        state: The weights.
        path: For the message.
        key: The setting that decides what ``module`` is, for the message.

    Raises:
        UserError: Names the first key that is missing, unknown or of another shape.
    """
    own = module.state_dict()
    kind = type(module).__name__
    missing, unknown = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    if missing or unknown:
        word = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which the network lacks"
        count = f"{len(missing)} missing, {len(unknown)} unknown keys"
        raise UserError(f"checkpoint {path} does not fit {kind}: it {word} ({count}); set {key} to its network")
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise UserError(
                f"checkpoint {path} does not fit {kind}: {name} has shape {tuple(state[name].shape)}, "
                f"not {tuple(value.shape)}; set {key} (and its arguments) to the network it was saved from"
            )
    module.load_state_dict(dict(state))
