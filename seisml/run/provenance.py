"""What a run's checkpoints say of where they come from: its settings, its data, and what trained it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from seisml.run.record import versions
from seisml.store.content import content_hashes, known_content
from seisml.store.identity import event_hashes, event_ids
from seisml.values.file_names import FOLD

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method

def run_name(folder: Path) -> str:
    """Name of a run: its folder's, after that of the sweep or the cross-validation of which it is a job or a fold."""
    is_part = folder.name.isdigit() or FOLD.fullmatch(folder.name)
    return f"{run_name(folder.parent)}-{folder.name}" if is_part else folder.name


def make_record(
    cfg: DictConfig,
    method: Method,
    data: StoreDataModule,
    pretrained: dict[str, Any] | None,
    run: str,
    found: dict[str, float],
) -> dict[str, Any]:
    """What travels in the run's checkpoints: plain values and tensors, so that they load with ``weights_only=True``.

    Args:
        cfg: The configuration that runs.
        method: What was built.
        data: Its data module.
        pretrained: The encoder that the run starts from.
        run: What the run is called.
        found: What settings left to the training data (``auto``).
    """
    seen = event_hashes(np.unique(event_ids(data.ready_store.metadata)[data.split.train]))
    if pretrained:
        earlier = pretrained["record"].get("seen_events")
        seen = None if earlier is None else np.union1d(seen, earlier.numpy())  # what is not known stays unknown
    return {
        "run": run,
        "config": OmegaConf.to_container(cfg, resolve=True),
        "facts": data.facts.to_dict(),
        "preprocessing": data.preprocessing.to_dict(),
        "found": found,
        "front_end": OmegaConf.to_container(cfg.front_end, resolve=True),
        **method.encoder_settings(),
        "split_hash": data.split.hash,
        "seen_events": None if seen is None else torch.from_numpy(np.asarray(seen)),
        "seen_content": seen_content(data, pretrained),
        "versions": versions(),
    }


def seen_content(data: StoreDataModule, pretrained: dict[str, Any] | None) -> torch.Tensor | None:
    """Hashes of the traces that train, with those that a pretrained encoder has seen; None where that is not known."""
    seen = known_content(content_hashes(data.ready_store, data.split.train)[0])
    earlier = pretrained["record"].get("seen_content") if pretrained else torch.empty(0, dtype=torch.int64)
    return None if earlier is None else torch.from_numpy(np.union1d(seen, earlier.numpy()))
