"""Going on with a run that was interrupted, in its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.run.checkpoints import check_weights, read_checkpoint, read_record
from seisml.run.messages import say
from seisml.run.resuming.optimiser_state import optimisers_misfit, schedules_misfit, type_name
from seisml.run.settings import differences
from seisml.run.weights.averaged import check_average
from seisml.values.file_names import METRICS_FILE

if TYPE_CHECKING:
    from seisml.methods.base import Method

LAST = Path("checkpoints") / "last.ckpt"
ANEW = "remove it, and the run begins anew"
PARTS = {  # of a checkpoint of Lightning's, by what they are and what they hold
    "pytorch-lightning_version": (str, None),
    "global_step": (int, None),
    "loops": (dict, None),
    "callbacks": (dict, dict),
    "optimizer_states": (list, dict),
    "lr_schedulers": (list, dict),
    "state_dict": (dict, None),
}
AVERAGED = {"current_model_state": (dict, None), "averaging_state": (dict, None)}  # where weights are averaged, too
CHANGEABLE = (  # beginnings of settings that may differ when a run goes on: what it learns does not depend on them
    "resume ", "checkpoint.", "out ", "encoder_folder ", "figures ", "logger.", "needs.", "dataset.root ",
    "dataset.stores ", "dataset.num_workers ", "trainer_params.gpus ", "trainer_params.devices ",
    "trainer_params.num_nodes ", "trainer_params.strategy ", "trainer_params.accelerator ",
    "trainer_params.enable_progress_bar ", "load_encoder.ckpt_fname ", "load_encoder.trust ",
)  # fmt: skip


def is_resumed(cfg: DictConfig) -> bool:
    """Whether a configuration asks to go on with the run in its folder, where there is one."""
    return cfg.get("resume") is not None


def is_finished(cfg: DictConfig, folder: Path) -> bool:
    """Whether the run to go on with has all its results; says so."""
    done = is_resumed(cfg) and (folder / METRICS_FILE).is_file()
    if done:
        say(f"{folder} is finished ({METRICS_FILE} is there): nothing to do")
    return done


def resume_point(cfg: DictConfig, folder: Path) -> dict[str, Any] | None:
    """The record of the checkpoint that a run goes on from; None where it begins.

    Args:
        cfg: The effective configuration.
        folder: The run's folder.

    Raises:
        UserError: The checkpoint is damaged, or was made with other settings; names the first that differ.
    """
    path = folder / LAST
    if not is_resumed(cfg) or not path.is_file():
        return None
    try:
        record = read_record(read_checkpoint(path), path, needed=("config", "split_hash"))
    except UserError as error:
        raise UserError(f"{error} (or {ANEW})") from error
    asked: Any = OmegaConf.to_container(cfg, resolve=True)
    changes = [text for text in differences(record["config"], asked) if not text.startswith(CHANGEABLE)]
    if changes:
        some = "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
        raise UserError(
            f"{folder} was trained with other settings ({some}); set them as they were (see its config.yaml), or start "
            "a new run without resume"
        )
    return record


def check_state(method: Method, folder: Path, precision: str | int | None = None) -> None:
    """Refuse to go on with a checkpoint whose parts training cannot take up, before any of them is.

    Args:
        method: The run's method, as it is built.
        folder: The run's folder.
        precision: That of the trainer; ``64-true`` keeps weights in float64.

    Raises:
        UserError: Names the part that is missing, of another kind, not the network's, or not finite.
    """
    path = folder / LAST
    values = read_checkpoint(path)
    averaged = method.ema_decay is not None
    for part, kinds in (PARTS | AVERAGED if averaged else PARTS).items():
        if reason := _unlike(values, part, *kinds):
            raise UserError(f"checkpoint {path}: {reason}; {ANEW}")
    for part in ("state_dict", "current_model_state") if averaged else ("state_dict",):
        check_weights(method, values[part], f"{path} ({part})", ANEW)
        for name, wanted in method.state_dict().items():
            given = values[part][name]
            if given.dtype not in weight_types(wanted.dtype, precision):
                types = f"{type_name(given)}, not {type_name(wanted)}"
                raise UserError(f"checkpoint {path} ({part}): {name} is of type {types}; {ANEW}")
        for name, _ in method.named_parameters():
            if not torch.isfinite(values[part][name]).all():
                raise UserError(f"checkpoint {path} ({part}): {name} is not finite; {ANEW}, with a lower exp_params.LR")
    if reason := optimisers_misfit(method, values["optimizer_states"], weight_types(torch.float32, precision)):
        raise UserError(f"checkpoint {path} (optimizer_states): {reason}; {ANEW}")
    if reason := schedules_misfit(method, values["lr_schedulers"], values["global_step"]):
        raise UserError(f"checkpoint {path} (lr_schedulers): {reason}; {ANEW}")
    if averaged:
        try:
            check_average(values)
        except UserError as error:
            raise UserError(f"checkpoint {path}: {error}; {ANEW}") from error


def weight_types(dtype: torch.dtype, precision: str | int | None) -> set[torch.dtype]:
    """Types in which a run keeps what its network is built with in some type."""
    wide = str(precision) in ("64", "64-true") and dtype.is_floating_point
    return {dtype, torch.float64} if wide else {dtype}


def _unlike(values: Mapping[str, Any], part: str, kind: type, of: type | None) -> str | None:
    """What is wrong with the kind of a part of a checkpoint; None where it is as it should be."""
    if part not in values:
        return f"it lacks {part}"
    given = values[part]
    if not isinstance(given, kind):
        return f"{part} is of type {type(given).__name__}, not {kind.__name__}"
    inside = given.values() if isinstance(given, dict) else given
    if of is not None and not all(isinstance(item, of) for item in inside):
        return f"{part} hold what is not of type {of.__name__}"
    return None


def check_split(record: Mapping[str, Any], data: StoreDataModule, folder: Path) -> None:
    """Refuse to go on with other data.

    Raises:
        UserError: The records or their parts are not those that the run began with.
    """
    if record["split_hash"] != data.split.hash:
        raise UserError(
            f"{data.root}: its records are not those that {folder} was trained on (another split); give the same "
            "dataset.root, or start a new run without resume"
        )
