"""Methods from configurations and from checkpoints."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seisml.config.check import method_arguments
from seisml.data.facts import DataFacts
from seisml.errors import UserError
from seisml.run.checkpoints import encoder_state, load_weights, read_checkpoint

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method

FIT_WINDOWS = 512  # training windows that set the front end's floor, whatever the batch size
ENCODER_KEYS = ("backbone_type", "backbone_params", "in_channels")


def read_pretrained(cfg: DictConfig) -> dict[str, Any] | None:
    """Read the encoder that ``load_encoder.ckpt_fname`` names.

    Args:
        cfg: A composed configuration.

    Returns:
        ``path``, ``state`` (the encoder's weights) and ``record`` (what seisml saved beside them, empty for published
        encoders); ``None`` for training from scratch.

    Raises:
        UserError: Where the file is missing, damaged or holds no encoder.
    """
    path = OmegaConf.select(cfg, "load_encoder.ckpt_fname")
    if path is None or str(path).lower() == "none":
        return None
    values = read_checkpoint(path)
    record = dict(values.get("seisml") or {})
    if "state_dict" in values:  # a whole run: its front end's state stands among the weights
        prefix = "front_end."
        record["front_end_state"] = {
            key.removeprefix(prefix): value for key, value in values["state_dict"].items() if key.startswith(prefix)
        }
    return {"path": path, "state": encoder_state(values, path), "record": record}


def front_end_config(cfg: DictConfig, record: dict[str, Any]) -> dict[str, Any]:
    """The front end that an encoder came with, else the configuration's."""
    return record.get("front_end") or OmegaConf.to_container(cfg.front_end, resolve=True)


def method_class(cfg: DictConfig) -> type[Method]:
    """The class of the configuration's method; its ``task`` says how labels are read."""
    return get_class(cfg.model_params._target_)


def build_method(cfg: DictConfig, facts: DataFacts, record: dict[str, Any] | None = None) -> Method:
    """Build the network and its recipe, with fresh weights.

    Args:
        cfg: A composed configuration.
        facts: The data's facts.
        record: What an encoder brings along; its front end and backbone take the configuration's place, so that it
            sees what it was trained on.

    Returns:
        The method.
    """
    record = record or {}
    front_end = _build("front_end", {"sampling_rate": facts.sampling_rate, **front_end_config(cfg, record)})
    arguments = method_arguments(cfg) | {key: record[key] for key in ENCODER_KEYS if key in record}
    return _build("model_params", {**arguments, "facts": facts, "front_end": front_end, "seed": cfg.seed})


def _build(key: str, arguments: dict[str, Any]) -> Any:
    """Call the class that ``_target_`` names. A checkpoint brings its own, so nothing but networks may be built."""
    kind = get_class(arguments.pop("_target_"))
    if not issubclass(kind, torch.nn.Module):
        raise UserError(f"{key}._target_: {kind.__module__}.{kind.__qualname__} is not a torch module; name one")
    return kind(**arguments)


def load_pretrained(method: Method, pretrained: dict[str, Any]) -> None:
    """Load a pretrained encoder and its front end's state into a method.

    Args:
        method: What :func:`build_method` built with the encoder's record.
        pretrained: What :func:`read_pretrained` gave.

    Raises:
        UserError: Where the weights do not fit.
    """
    load_weights(method.encoder, pretrained["state"], pretrained["path"])
    if "front_end_state" in pretrained["record"]:
        method.front_end.load_state_dict(pretrained["record"]["front_end_state"])
    method.pretrained = True


def load_method(path: str | Path) -> Method:
    """Load a trained model from a run's checkpoint; everything it needs is in there.

    Args:
        path: ``checkpoints/last.ckpt`` or ``best.ckpt`` of a run's folder.

    Returns:
        The method in eval mode, on the CPU; ``facts`` has its class names, sampling rate and length, ``run_record``
        the configuration that it was trained with.

    Raises:
        UserError: Where the file is missing, damaged or not a run's checkpoint.
    """
    values = read_checkpoint(path)
    record = values.get("seisml")
    if record is None or "state_dict" not in values:
        raise UserError(
            f"checkpoint {path} is not that of a whole run (it has {', '.join(map(str, list(values)[:4]))}); "
            "give a run's checkpoints/last.ckpt"
        )
    cfg = OmegaConf.create(record["config"])
    method = build_method(cfg, DataFacts.from_dict(record["facts"]), record)
    load_weights(method, values["state_dict"], path, "the checkpoint")
    method.run_record = record
    return method.eval()


def fit_front_end(method: Method, data: StoreDataModule) -> None:
    """Set the front end's floor from training data where it is ``auto``, and warn of a floor that blanks them."""
    windows = data.windows(data.split.train)
    chosen = np.random.default_rng([data.seed, 7]).permutation(len(windows))[:FIT_WINDOWS]
    rows, starts = windows.keys(chosen)

    def waveforms() -> Iterator[torch.Tensor]:
        for batch in data.evaluation_loader(rows, single=True, starts=starts):
            yield batch["waveform"]

    if not method.front_end.fitted:
        method.front_end.fit(waveforms())
    for waveform in itertools.islice(waveforms(), 1):
        if warning := method.front_end.check(waveform):
            rank_zero_only(print)(f"Warning: {warning}", flush=True)  # one voice for all processes of a run
