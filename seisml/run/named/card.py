"""The page that goes with an encoder which others use: what it is, what it saw, how it was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig

from seisml.files import write_text
from seisml.run.messages import say
from seisml.run.named.encoder_file import without_places, write_encoder
from seisml.run.named.names import SUFFIX
from seisml.store.identity import event_ids

if TYPE_CHECKING:
    from seisml.data.datamodule import StoreDataModule
    from seisml.methods.base import Method


def publish(cfg: DictConfig, method: Method, data: StoreDataModule, metrics: dict[str, Any]) -> Path | None:
    """Write an encoder under its name, and its card where there is none: a card may have been written on by people.

    Args:
        cfg: The run's configuration; ``encoder_name`` is the name, and ``encoder_folder`` where both go.
        method: The trained method.
        data: Its data module.
        metrics: What ``metrics.json`` holds.

    Returns:
        The encoder's file; None where the configuration gives no name.
    """
    name = cfg.get("encoder_name")
    if not name:
        return None
    folder = Path(cfg.encoder_folder)
    path, card = folder / f"{name}{SUFFIX}", folder / f"{name}.md"
    write_encoder(path, method)
    if card.exists():
        say(f"Note: {card} stays as it is, and describes an encoder of before; remove it for a new one.")
    else:
        write_text(card, card_text(name, path.stat().st_size, method, data, metrics))
    say(f"{name}: {path.stat().st_size / 2**20:.2f} MiB, load_encoder.ckpt_fname={name}; its card is {card}")
    return path


def card_text(name: str, size: int, method: Method, data: StoreDataModule, metrics: dict[str, Any]) -> str:
    """The card, in Markdown.

    Args:
        name: Of the encoder.
        size: Of its file, in bytes.
        method: The trained method.
        data: Its data module.
        metrics: What ``metrics.json`` holds.
    """
    record = method.run_record
    config = without_places(record["config"])
    facts, trained = data.facts, config.get("trainer_params", {})
    n_weights = sum(value.numel() for value in method.encoder.parameters())
    seen = record["seen_events"]
    held = config.get("dataset", {}).get("hold_out") or []
    seconds = facts.n_samples / facts.sampling_rate
    known = {term: level for term, level in metrics["chance"].items() if term in metrics}
    terms = [f"| {term} | {metrics[term]:.3g} | {level:.3g} |" for term, level in known.items()]
    lines = [
        f"# {name}",
        "",
        f"An encoder of seismic waveforms at {facts.sampling_rate:g} Hz, trained without labels. Its file, "
        f"`{name}{SUFFIX}`, holds numbers and a record in JSON; loading it runs nothing.",
        "",
        f"    python finetune.py +experiment=nz_2013 load_encoder.ckpt_fname={name}",
        "",
        "## What it is",
        "",
        f"- {record['backbone_type']} with {n_weights:,} weights, {size / 2**20:.2f} MiB; "
        f"{method.encoder.out_size} features of each trace ({record['in_channels']} at once)",
        f"- Front end: `{json.dumps(record['front_end'])}`",
        f"- Made for windows of about {seconds:g} s; it brings its front end along",
        "",
        "## What it saw",
        "",
        "| store | records | events | hours of traces |",
        "|---|---|---|---|",
        *_stores(data),
        "",
        f"{0 if seen is None else len(seen)} events in all; their hashes travel in the file, and fine-tuning says how "
        "many of its test events are among them. "
        + (f"Kept out by name and time: {', '.join(held)}." if held else "No other data set was kept out by name."),
        "",
        "## How it was trained",
        "",
        f"- {method.name}, {trained.get('max_steps')} steps of {data.batch_size} windows, seed {config.get('seed')}, "
        f"precision {trained.get('precision')}, {metrics['seconds']['fit'] / 60:.0f} minutes; "
        f"seisml {record['versions']['seisml']} ({record['versions']['git']}), PyTorch {record['versions']['torch']}",
        f"- Settings: `{json.dumps(config.get('exp_params', {}))}`",
        f"- Augmentations: `{json.dumps(config.get('augmentations', []))}`",
        f"- Data: `{json.dumps(config.get('dataset', {}))}`",
        "",
        "| term | at the end | chance |",
        "|---|---|---|",
        *terms,
    ]
    return "\n".join(lines) + "\n"


def _stores(data: StoreDataModule) -> list[str]:
    """A row of the table for each store: what of it trained."""
    store, rows = data.ready_store, data.split.train
    home = data.homes(rows)
    events = event_ids(store.metadata)[rows].astype(str)
    hours = store.n_traces[rows] * store.n_samples[rows] / store.sampling_rate[rows] / 3600
    return [
        f"| {place} | {int((home == place).sum())} | {len(np.unique(events[home == place]))} "
        f"| {hours[home == place].sum():.1f} |"
        for place in dict.fromkeys(home.tolist())
    ]
