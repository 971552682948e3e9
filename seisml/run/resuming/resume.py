"""Going on with a run that was interrupted, in its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seisml.data.datamodule import StoreDataModule
from seisml.errors import UserError
from seisml.run.checkpoints import read_checkpoint, read_record
from seisml.run.messages import say
from seisml.run.settings import differences
from seisml.values.file_names import METRICS_FILE

LAST = Path("checkpoints") / "last.ckpt"
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
        raise UserError(f"{error} (or remove it, and the run begins anew)") from error
    asked: Any = OmegaConf.to_container(cfg, resolve=True)
    changes = [text for text in differences(record["config"], asked) if not text.startswith(CHANGEABLE)]
    if changes:
        some = "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
        raise UserError(
            f"{folder} was trained with other settings ({some}); set them as they were (see its config.yaml), or start "
            "a new run without resume"
        )
    return record


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
