"""Checkpoints: encoders in the published layout, whole runs, and clear words about foreign files."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from seisml.errors import UserError, nearest
from seisml.evaluation.decision import Decision
from seisml.files import write_atomically
from seisml.values.stored import read_stored
from seisml.values.tensors import is_whole

if TYPE_CHECKING:
    from seisml.methods.base import Method

State = Mapping[str, Tensor]
ENCODERS = ("encoder_state_dict", "model_state_dict", "state_dict")  # where checkpoints keep the encoder
CLASSIFIERS = ("classifier_state_dict", "clf_state_dict")  # ... and published fine-tuning its classifier
LAST_LAYERS = ("model.fc.", "model.classifier.")  # the classifier of a published network that ends in one
OTHER_NETWORK = "set load_encoder.backbone_type (and its arguments) to the network it was saved from"
MOST_SHARING = 4  # times that weights may stand for the same numbers: a small file must not fill the memory


class Record(BaseModel):
    """What seisml saves beside the weights, as far as it is used again; see :mod:`seisml.run.provenance`.

    Other keys are kept: they tell people where a model comes from.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, strict=True)

    config: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    data: dict[str, Any] | None = None
    front_end: dict[str, Any] | None = None
    front_end_state: dict[str, Tensor] = {}
    backbone_type: str = ""
    backbone_params: dict[str, Any] | None = None
    in_channels: Annotated[int, Field(ge=1, le=4096)] = 1
    seen_events: Tensor | None = None
    seen_content: Tensor | None = None
    decision: dict[str, Any] | None = None


class NetworkSettings(BaseModel):
    """The part of a stored configuration that a network is built from; the other parts are not looked at."""

    model_config = ConfigDict(strict=True)

    model_params: dict[str, Any]
    front_end: dict[str, Any]
    seed: Annotated[int, Field(ge=0)]
    exp_params: dict[str, Any] = {}
    augmentations: list[Any] | None = None


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


def add_to_record(path: Path, values: Mapping[str, Any]) -> None:
    """Add plain values to what a checkpoint says beside its weights.

    Args:
        path: A checkpoint that seisml wrote.
        values: By their keys in the record.
    """
    checkpoint = read_checkpoint(path)
    atomic_save({**checkpoint, "seisml": {**checkpoint["seisml"], **values}}, path)


def atomic_save(values: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside its place and move it there, so that no half-written file is ever seen."""
    data = io.BytesIO()  # PyTorch's writer does not tell a full disk from other faults
    torch.save(values, data)
    write_atomically(path, lambda part: part.write_bytes(data.getbuffer()))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, written as ours: the last good one stays until the next is whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint; see :func:`atomic_save`."""
        atomic_save(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint, on the CPU and whatever is asked: see :func:`read_checkpoint`."""
        return read_checkpoint(path)


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
    if path.is_dir():
        inside = sorted(str(file.relative_to(path)) for file in path.glob("**/*.ckpt"))[:5]
        found = ", ".join(inside) or "it holds no .ckpt"
        raise UserError(f"checkpoint {path} is a folder; name a file in it ({found})")
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.ckpt")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"there is no checkpoint in {path.parent}"
        raise UserError(f"checkpoint {path} does not exist; {hint}")
    try:
        _check_archive(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"checkpoint {path} is not a file of tensors and plain values, and is not unpickled; "
            "save its state_dict alone (torch.save(encoder.state_dict(), ...)) and load that"
        ) from error
    except Exception as error:  # PyTorch promises nothing about what a damaged file raises
        raise UserError(f"checkpoint {path} is damaged or truncated; copy or make it again") from error
    if not isinstance(values, dict):
        raise UserError(f"checkpoint {path} holds a {type(values).__name__}, not a dictionary of weights")
    return values


def _check_archive(path: Path) -> None:
    """Refuse an archive that grows when it is unpacked: PyTorch stores, it does not compress."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("the parts are larger than the whole")


def read_record(values: Mapping[str, Any], path: str | Path, needed: Iterable[str] = ()) -> dict[str, Any]:
    """What seisml saved beside the weights; empty for published encoders.

    Args:
        values: What :func:`read_checkpoint` returned.
        path: For the message.
        needed: Keys that must be there.

    Raises:
        UserError: A key is missing, or not of its kind.
    """
    record = values.get("seisml")
    try:
        read_stored(Record, {} if record is None else record, "seisml")
        record = dict(record or {})
        Decision.from_record(record)
        for key in needed:
            if key not in record:
                raise UserError(f"seisml.{key} is missing")
    except UserError as error:
        raise UserError(f"checkpoint {path}: {error}; give a file that sslearn.py or finetune.py wrote") from error
    for name in ("seen_events", "seen_content"):
        seen = record.get(name)
        if seen is not None and (seen.dtype != torch.int64 or seen.ndim != 1 or not is_whole(seen)):
            raise UserError(f"checkpoint {path}: seisml.{name} are not hashes; use another file")
    return {key: value for key, value in record.items() if value is not None or key.startswith("seen_")}


def encoder_state(values: Mapping[str, Any], path: str | Path) -> dict[str, Tensor]:
    """Find the encoder's weights in a checkpoint.

    Reads the published layouts (``model_state_dict`` of pretraining and of the original implementation,
    ``encoder_state_dict`` of fine-tuning), bare state dicts, and checkpoints of whole runs (their ``encoder.`` part).

    Args:
        values: What :func:`read_checkpoint` returned.
        path: For the message.

    Returns:
        State of the encoder; of the original implementation with its classifier, see :func:`split_classifier`.

    Raises:
        UserError: Where there is none.
    """
    state = next((values[key] for key in ENCODERS if key in values), values)
    if isinstance(state, Mapping) and not all(isinstance(key, str) for key in state):
        state = None
    if isinstance(state, Mapping) and any(key.startswith("encoder.") for key in state):
        state = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"checkpoint {path} holds no encoder (looked for {', '.join(ENCODERS)} and encoder.*; "
            f"it has {', '.join(list(map(str, values))[:5]) or 'nothing'}); give one that sslearn.py wrote"
        )
    return dict(state)


def split_classifier(values: Mapping[str, Any], state: State, encoder: nn.Module) -> tuple[State, State]:
    """Part a published checkpoint into encoder and classifier.

    Fine-tuning saves the classifier beside the encoder, the original implementation as the network's last layers.

    Args:
        values: What :func:`read_checkpoint` returned.
        state: What :func:`encoder_state` found in it.
        encoder: The network that the encoder's weights are for.

    Returns:
        The encoder's weights, and the classifier's by their names in a linear layer or a sequence of layers; none where
        the checkpoint has no classifier.
    """
    for key in CLASSIFIERS:
        beside = values.get(key)
        if isinstance(beside, Mapping):
            return state, {str(name).removeprefix("model."): value for name, value in beside.items()}
    wanted = encoder.state_dict()
    rest = [name for name in state if name not in wanted]
    for prefix in LAST_LAYERS:
        if rest and all(name.startswith(prefix) for name in rest):
            kept = {name: value for name, value in state.items() if name in wanted}
            return kept, {name.removeprefix(prefix): state[name] for name in rest}
    return state, {}


def fits(module: nn.Module, state: State) -> bool:
    """Whether weights have the names and shapes of a module's."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    return shapes == {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}


def load_weights(module: nn.Module, state: State, path: str | Path, cure: str = OTHER_NETWORK) -> None:
    """Load weights, every key and shape checked.

    Args:
        module: Where they go.
        state: The weights.
        path: For the message.
        cure: What to do where they do not fit, for the message.

    Raises:
        UserError: Names the first key that is missing, unknown or of another shape.
    """
    check_weights(module, state, path, cure)
    module.load_state_dict(dict(state))


def check_weights(module: nn.Module, state: State, path: str | Path, cure: str = OTHER_NETWORK) -> None:
    """Compare weights with the network they are for. See :func:`load_weights` and :func:`misfit`.

    Raises:
        UserError: They do not fit.
    """
    if reason := misfit(module, state):
        raise UserError(f"checkpoint {path} does not fit {type(module).__name__}: {reason}; {cure}")


def misfit(module: nn.Module, state: State) -> str | None:
    """Why weights are not those of a network; None where every key and shape is, and all numbers are there.

    The network may lie on PyTorch's ``meta`` device, where it takes no memory.
    """
    if not isinstance(state, Mapping):
        return f"its weights are a {type(state).__name__}, not a mapping"
    wanted = module.state_dict()
    missing, unknown = sorted(set(wanted) - set(state)), sorted(map(str, set(state) - set(wanted)))
    if missing or unknown:
        word = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which the network lacks"
        return f"it {word} ({len(missing)} missing, {len(unknown)} unknown keys)"
    for name, value in wanted.items():
        given = state[name]
        if not isinstance(given, Tensor) or not is_whole(given) or given.is_complex() != value.is_complex():
            return f"{name} is not an array of numbers that stand in the file"
        if value.shape != given.shape:
            return f"{name} has shape {tuple(given.shape)}, not {tuple(value.shape)}"
    stored = {state[name].untyped_storage().data_ptr(): state[name].untyped_storage().nbytes() for name in wanted}
    if sum(state[name].nbytes for name in wanted) > MOST_SHARING * sum(stored.values()):
        return "its weights are the same few numbers over and over"
    return None
