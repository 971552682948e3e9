"""Methods from configurations and from checkpoints."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import nn

from seisml.errors import UserError
from seisml.methods.base import Method
from seisml.networks.build import build_encoder
from seisml.networks.resnet import ResNetEncoder
from seisml.run.bundle import read_model
from seisml.run.checkpoints import (
    NetworkSettings,
    check_weights,
    encoder_state,
    fits,
    load_weights,
    read_record,
    split_classifier,
)
from seisml.run.effective import ENCODER_KEYS
from seisml.run.messages import say
from seisml.run.named.names import encoder_path
from seisml.run.settings import method_arguments
from seisml.tasks.facts import DataFacts
from seisml.values.classes import find_class, only_trusted
from seisml.values.stored import check_plain, read_stored

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule

T = TypeVar("T")

OTHER_FILE = "use another file"
FIT_WINDOWS = 512  # training windows that set what is left to the data, whatever the batch size


def read_pretrained(cfg: DictConfig) -> dict[str, Any] | None:
    """Read the encoder that ``load_encoder.ckpt_fname`` names.

    Args:
        cfg: A composed configuration.

    Returns:
        ``path``, ``values`` (all that the file holds), ``state`` (the encoder's weights) and ``record`` (what seisml
        saved beside them, empty for published encoders); ``None`` for training from scratch.

    Raises:
        UserError: Where the file is missing, damaged or holds no encoder.
    """
    path = OmegaConf.select(cfg, "load_encoder.ckpt_fname")
    if path is None or str(path).lower() == "none":
        return None
    path = str(encoder_path(str(path)))
    values = read_model(path)
    state = encoder_state(values, path)
    record = read_record(values, path)
    trust = OmegaConf.select(cfg, "load_encoder.trust") or ()
    with _building_from(path, trust), torch.device("cpu" if trust else "meta"):  # as in load_method
        if "front_end" in record:
            find_class(record["front_end"].get("_target_", ""), nn.Module, "front_end._target_")
        if "backbone_type" in record:
            arguments = record.get("backbone_params") or {}
            encoder = build_encoder(record["backbone_type"], record.get("in_channels", 1), **arguments)
            check_weights(encoder, state, path)
    if "state_dict" in values:  # a whole run: its front end's state stands among the weights
        prefix = "front_end."
        record["front_end_state"] = {
            key.removeprefix(prefix): value for key, value in values["state_dict"].items() if key.startswith(prefix)
        }
    return {"path": path, "values": values, "state": state, "record": record}


def front_end_config(cfg: DictConfig, record: dict[str, Any]) -> dict[str, Any]:
    """The front end that an encoder came with, else the configuration's."""
    return record.get("front_end") or OmegaConf.to_container(cfg.front_end, resolve=True)


def method_class(cfg: DictConfig) -> type[Method]:
    """The class of the configuration's method; its ``task`` says how labels are read."""
    return find_class(cfg.model_params._target_, Method, "model_params._target_")


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
    front_end_arguments = {"sampling_rate": facts.sampling_rate, **front_end_config(cfg, record)}
    front_end = build_section("front_end", front_end_arguments, nn.Module)
    values: Any = OmegaConf.to_container(cfg, resolve=True)
    arguments = method_arguments(values) | {key: record[key] for key in ENCODER_KEYS if key in record}
    given = {"facts": facts, "front_end": front_end, "seed": cfg.seed}
    return build_section("model_params", arguments | given, Method)


def build_section(key: str, arguments: dict[str, Any], base: type[T]) -> T:
    """Call the class that a section's ``_target_`` names.

    Args:
        key: The section's name, for messages.
        arguments: ``_target_``, and the class's arguments.
        base: What the class must be derived from; nothing else is called.

    Raises:
        UserError: Another class, or arguments that it does not take.
    """
    arguments = dict(arguments)
    kind = find_class(arguments.pop("_target_", None), base, f"{key}._target_")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{key}: {kind.__name__} cannot be made with these settings ({error})") from error


@contextmanager
def _building_from(path: str | Path, trust: Sequence[str]) -> Iterator[None]:
    """Build what a checkpoint asks for: of trusted classes alone, whatever goes wrong being the file's fault."""
    try:
        with only_trusted(trust), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            yield
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"checkpoint {path}: {error}") from error
    except Exception as error:  # whatever a constructor makes of settings that nobody foresaw
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"checkpoint {path}: its settings make no network ({reason}); use another file") from error


def load_pretrained(method: Method, pretrained: dict[str, Any]) -> None:
    """Load a pretrained encoder and its front end's state into a method, and a published classifier where it fits.

    Args:
        method: What :func:`build_method` built with the encoder's record.
        pretrained: What :func:`read_pretrained` gave.

    Raises:
        UserError: Where the weights do not fit.
    """
    path = pretrained["path"]
    state, classifier = split_classifier(pretrained["values"], pretrained["state"], method.encoder)
    load_weights(method.encoder, state, path)
    head = method.class_head
    if classifier and head is not None:
        if fits(head, classifier):
            load_weights(head, classifier, path)
        loaded = "is loaded, too" if fits(head, classifier) else "does not fit these classes and starts afresh"
        rank_zero_only(print)(f"The classifier of {path} {loaded}.", flush=True)
    if "front_end_state" in pretrained["record"]:
        load_weights(method.front_end, pretrained["record"]["front_end_state"], path, OTHER_FILE)
    method.pretrained = True


def load_published_weights(method: Method, cfg: DictConfig) -> None:
    """Load the weights that ``load_encoder.weights`` names, where it names some; no checkpoint makes anybody fetch any.

    Raises:
        UserError: There are none for this encoder, they cannot be fetched, or a checkpoint is named too.
    """
    if OmegaConf.select(cfg, "load_encoder.weights") is None:
        return
    if str(OmegaConf.select(cfg, "load_encoder.ckpt_fname")).lower() != "none":
        raise UserError("load_encoder.weights: load_encoder.ckpt_fname brings weights, too; set one of them to null")
    if not isinstance(method.encoder, ResNetEncoder):
        raise UserError(
            f"load_encoder.weights: there are no ImageNet weights for {type(method.encoder).__name__} here; "
            "take a ResNet encoder or set load_encoder.weights=null"
        )
    method.encoder.load_imagenet()
    method.pretrained = True


def load_method(path: str | Path, trust: Sequence[str] = ()) -> Method:
    """Load a trained model from a run's checkpoint or a bundle; everything it needs is in there.

    The network is first built without memory and compared with the weights, so that a file can ask for no more than it
    holds. Its settings may name classes of seisml, and of the packages that the caller trusts.

    Args:
        path: ``checkpoints/last.ckpt`` or ``best.ckpt`` of a run's folder, or the folder that ``seisml export`` wrote.
        trust: Packages (``my_package``) whose classes the checkpoint may name.

    Returns:
        The method in eval mode, on the CPU; ``facts`` has its class names, sampling rate and length, ``run_record``
        the configuration that it was trained with.

    Raises:
        UserError: Where the file is missing, damaged, not a run's checkpoint, or asks for what is not trusted.
    """
    values = read_model(path)
    if "seisml" not in values or "state_dict" not in values:
        raise UserError(
            f"checkpoint {path} is not that of a whole run (it has {', '.join(map(str, list(values)[:4]))}); "
            "give a run's checkpoints/last.ckpt"
        )
    record = read_record(values, path, needed=("config", "facts"))
    with _building_from(path, trust):
        facts = DataFacts.from_dict(record["facts"])
        read_stored(NetworkSettings, record["config"], "config")
        sections = {key: record["config"][key] for key in NetworkSettings.model_fields if key in record["config"]}
        check_plain(sections, "config", literal=True)
        cfg = OmegaConf.create(sections)
        if not trust:  # code that the user trusts may want numbers where there are shapes alone
            with torch.device("meta"):
                check_weights(build_method(cfg, facts, record), values["state_dict"], path, OTHER_FILE)
        method = build_method(cfg, facts, record)
    load_weights(method, values["state_dict"], path, OTHER_FILE)
    method.run_record = record
    return method.eval()


def fit_front_end(method: Method, data: StoreDataModule, of_encoder: bool = False) -> None:
    """Set the front end's floor from training data where it is ``auto``, and warn of a floor that blanks them.

    Args:
        method: What was built.
        data: Its data module.
        of_encoder: Whether the front end came with a pretrained encoder, so that no setting changes it.
    """
    windows = data.windows(data.split.train)
    chosen = np.random.default_rng([data.seed, 7]).permutation(len(windows))[:FIT_WINDOWS]
    rows, starts = windows.keys(chosen)

    def waveforms() -> Iterator[torch.Tensor]:
        for batch in data.evaluation_loader(rows, single=True, starts=starts):
            yield batch["waveform"]

    if not method.front_end.fitted:
        method.front_end.fit(waveforms())
    for waveform in itertools.islice(waveforms(), 1):
        if warning := method.front_end.check(waveform, of_encoder):
            rank_zero_only(print)(f"Warning: {warning}", flush=True)  # one voice for all processes of a run


def fit_settings(method: Method, data: StoreDataModule) -> dict[str, float]:
    """Settle by the first training samples what settings of the method leave to the data, and say what was found."""
    found = method.fit_settings(lambda: data.first_samples(FIT_WINDOWS))
    if found:
        say("Found in the training data: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))
    return found
