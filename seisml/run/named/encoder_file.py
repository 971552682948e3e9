"""An encoder as one file that can be handed on: numbers in safetensors, and beside them a record in JSON.

The file can name no class that is imported unchecked and can run nothing: its record is checked like a checkpoint's. No
path of the machine that trained it goes along.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
from torch import Tensor

from seisml.errors import UserError
from seisml.files import write_atomically

if TYPE_CHECKING:
    from seisml.methods.base import Method

FORMAT = "seisml encoder 1"  # the number goes up when files of before could not be read any more
PARTS = ("encoder", "front_end", "record")  # what a tensor's name begins with
OF_PLACES = ("root", "stores", "hold_out", "split_file")  # settings of the data that name files
SECTIONS = ("seed", "dataset", "front_end", "model_params", "exp_params", "augmentations", "trainer_params")


def write_encoder(path: Path, method: Method) -> Path:
    """Write a method's encoder, its front end's state, and what its run's record says.

    Args:
        path: The file to write.
        method: A trained method with an ``encoder``.

    Returns:
        The path.

    Raises:
        UserError: The record has no place in JSON.
    """
    record = dict(method.run_record)
    tensors = {name: record.pop(name) for name in [key for key, value in record.items() if isinstance(value, Tensor)]}
    record["config"] = without_places(record.get("config", {}))
    parts = dict(zip(PARTS, (method.encoder.state_dict(), method.front_end.state_dict(), tensors), strict=True))
    named = {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}
    apart = {name: value.detach().cpu().contiguous().clone() for name, value in named.items()}
    try:
        text = json.dumps(record, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: the run's record has no place in JSON ({error})") from error
    data = safetensors.torch.save(apart, {"format": FORMAT, "seisml": text})
    return write_atomically(path, lambda part: part.write_bytes(data))


def read_encoder(path: str | Path) -> dict[str, Any]:
    """Read what :func:`write_encoder` wrote.

    Returns:
        ``model_state_dict`` and ``seisml``, as :func:`seisml.run.checkpoints.read_checkpoint` gives them.

    Raises:
        UserError: The file is missing, damaged, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; make it with python sslearn.py +experiment=small_encoder")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        tensors = safetensors.torch.load(path.read_bytes())
    except Exception as error:  # the library promises nothing about what a damaged file raises
        raise UserError(f"checkpoint {path} is damaged or truncated; copy or make it again") from error
    if about.get("format") != FORMAT:
        raise UserError(f"checkpoint {path} is not in the format {FORMAT!r}; make it again, or update seisml")
    try:
        record = json.loads(about.get("seisml", ""))
    except (ValueError, RecursionError) as error:
        raise UserError(f"checkpoint {path}: its record is no JSON; copy or make it again") from error
    states: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        if part not in states:
            raise UserError(f"checkpoint {path}: {name!r} belongs to none of {', '.join(PARTS)}; use another file")
        states[part][rest] = value
    if not isinstance(record, dict):
        raise UserError(f"checkpoint {path}: its record is a {type(record).__name__}, not a mapping; use another file")
    record |= {**states["record"], "front_end_state": states["front_end"]}
    return {"model_state_dict": states["encoder"], "seisml": record}


def without_places(config: dict[str, Any]) -> dict[str, Any]:
    """The sections of a configuration that say how an encoder was trained; of files the names alone."""
    kept = {key: config[key] for key in SECTIONS if key in config}
    data = dict(kept.get("dataset", {}))
    for key in OF_PLACES:
        if isinstance(data.get(key), str):
            data[key] = Path(data[key]).name
        elif data.get(key):
            data[key] = [Path(place).name for place in data[key]]
    return {**kept, "dataset": data} if data else kept
