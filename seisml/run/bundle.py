"""A trained model as a folder that can be handed on: weights, and a page of JSON that says what they are.

``model.json`` holds all that a run's checkpoint says beside its weights, in words that people can read: class names,
sampling rate, preprocessing, threshold, configuration, split hash and versions. ``weights.safetensors`` holds numbers
alone. Neither can name a file or run anything; both are checked like a checkpoint before anything is made of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch
from torch import Tensor

from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint
from seisml.run.named.encoder_file import read_encoder
from seisml.run.named.names import SUFFIX

DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"
FORMAT = "seisml model 1"  # the number goes up when files of before could not be read any more
FIRST = ("facts", "preprocessing", "decision", "run", "split_hash", "versions")  # what people look for
OF_RECORD = "record."  # tensors that belong to the record and not to the network carry this before their name
LARGEST_DESCRIPTION = 16 * 2**20  # bytes


def write_bundle(folder: Path, state: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write the two files of a bundle into a folder.

    Args:
        folder: Where to; see :func:`seisml.files.new_folder`.
        state: All weights of the method, front end included.
        record: What the run's checkpoint says beside them.

    Raises:
        UserError: A value of the record has no place in JSON.
    """
    tensors = {name: value for name, value in record.items() if isinstance(value, Tensor)}
    plain = {name: record[name] for name in (*FIRST, *sorted(record)) if name in record and name not in tensors}
    _check_values(plain)
    numbers = {**state, **{OF_RECORD + name: value for name, value in tensors.items()}}
    apart = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in numbers.items()}
    weights = safetensors.torch.save(apart)
    about = {"format": FORMAT, "weights_sha256": hashlib.sha256(weights).hexdigest(), **plain}
    (folder / WEIGHTS).write_bytes(weights)
    (folder / DESCRIPTION).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_model(path: str | Path) -> dict[str, Any]:
    """Read a bundle's folder, a checkpoint, or an encoder that goes by a name.

    Returns:
        What :func:`seisml.run.checkpoints.read_checkpoint` gives: of a bundle ``state_dict`` and ``seisml``.

    Raises:
        UserError: It is missing, damaged, or something else.
    """
    if is_bundle(path):
        return _read_bundle(Path(path))
    return read_encoder(path) if Path(path).suffix == SUFFIX else read_checkpoint(path)


def is_bundle(path: str | Path) -> bool:
    """Whether a path is the folder of a bundle."""
    return any((Path(path) / name).exists() for name in (DESCRIPTION, WEIGHTS))


def model_hash(path: str | Path) -> str:
    """SHA-256 of a checkpoint's bytes, or of those of a bundle's two files."""
    digest = hashlib.sha256()
    for file in [Path(path, name) for name in (DESCRIPTION, WEIGHTS)] if is_bundle(path) else [Path(path)]:
        with file.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def _read_bundle(folder: Path) -> dict[str, Any]:
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"bundle {folder} lacks {name}; export it again")
    about = _read_description(folder / DESCRIPTION)
    if about.pop("format", None) != FORMAT:
        raise UserError(
            f"bundle {folder}: {DESCRIPTION} is not in the format {FORMAT!r}; export it again, or update seisml"
        )
    weights = (folder / WEIGHTS).read_bytes()
    if hashlib.sha256(weights).hexdigest() != about.pop("weights_sha256", None):
        raise UserError(
            f"bundle {folder}: {WEIGHTS} is not the file that {DESCRIPTION} was written with; copy both again"
        )
    try:
        tensors = safetensors.torch.load(weights)
    except Exception as error:  # the library promises nothing about what a damaged file raises
        raise UserError(f"bundle {folder}: {WEIGHTS} is damaged; copy or export it again") from error
    of_record = {name.removeprefix(OF_RECORD): x for name, x in tensors.items() if name.startswith(OF_RECORD)}
    state = {name: x for name, x in tensors.items() if not name.startswith(OF_RECORD)}
    return {"state_dict": state, "seisml": {**about, **of_record}}


def _read_description(path: Path) -> dict[str, Any]:
    def refuse(word: str) -> NoReturn:
        raise ValueError(word)

    try:
        if path.stat().st_size > LARGEST_DESCRIPTION:
            raise ValueError("it is too large")
        about = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        if not isinstance(about, dict):
            raise ValueError("it is not a mapping")
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(
            f"bundle {path.parent}: {path.name} cannot be read ({reason}); copy or export it again"
        ) from error
    return about


def _check_values(value: Any, key: str = "") -> None:
    """Refuse what JSON would not give back: a checkpoint may hold anything."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise UserError(f"{key}{name}: {DESCRIPTION} takes names alone as keys; train with another setting")
            _check_values(name, f"{key}{name!a}.")
            _check_values(item, f"{key}{name}.")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_values(item, f"{key}{number}.")
    elif not _fits(value):
        shown = repr(value) if isinstance(value, float | str) else f"a {type(value).__name__}"
        raise UserError(f"{key.rstrip('.')} is {shown}, which {DESCRIPTION} cannot hold; train with another value")


def _fits(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or "\\ud" not in ascii(value)  # half a character, which no file can hold
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
