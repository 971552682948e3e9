"""What an encoder may have seen of what it is tested on, and what else sets its rows apart from those without it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from seisml.comparison.plan import Trial
from seisml.comparison.planning import Encoder
from seisml.errors import UserError
from seisml.files import original
from seisml.run.build import read_pretrained
from seisml.run.bundle import read_model
from seisml.run.checkpoints import read_record
from seisml.run.effective import with_encoder
from seisml.run.settings import changed
from seisml.store.content import UNKNOWN
from seisml.store.identity import event_hashes


@dataclass(frozen=True)
class Seen:
    """What an encoder has seen of the test part of a trial.

    Attributes:
        events: Test events that it was trained on, by name or because they share a record; None where its file does
            not say.
        shared: How many of them share a record under another name.
        rate: Sampling rate of the data that it was trained on, in Hz; None where its file does not say.
    """

    events: list[str] | None
    shared: int = 0
    rate: float | None = None


def seen_of(encoder: Encoder, trial: Trial) -> Seen:
    """What an encoder has seen of a trial's test part, as far as its file says."""
    record = read_record(read_model(encoder.path), encoder.path)
    rate = record.get("facts", {}).get("sampling_rate")
    if record.get("seen_events") is None:
        return Seen(None, 0, rate)
    known = set(np.asarray(trial.test_events)[np.isin(event_hashes(trial.test_events), record["seen_events"].numpy())])
    table = pd.read_csv(trial.held_out, dtype={"source_id": str})
    content = record.get("seen_content")
    same = np.isin(table["content"], [] if content is None else content.numpy()) & (table["content"] != UNKNOWN)
    shared = set(table["source_id"][same].map(original)) - known
    return Seen(sorted(map(str, known | shared)), len(shared), rate)


def rate_warnings(found: Iterable[tuple[Encoder, Trial, Seen]]) -> list[str]:
    """A line for each encoder and probe of different sampling rates."""
    lines = [
        f"Warning: {encoder.name} was trained at {seen.rate:g} Hz, and {trial.probe.name} has {trial.sampling_rate:g} "
        "Hz; prepare the data with --sampling-rate, or take another encoder"
        for encoder, trial, seen in found
        if seen.rate not in (None, trial.sampling_rate)
    ]
    return list(dict.fromkeys(lines))


def network_notes(found: Iterable[tuple[Encoder, Trial, Seen]]) -> list[str]:
    """A line for each encoder and probe where the encoder brings another network or front end than the probe has."""
    lines = []
    for encoder, trial in {(it.name, trial.probe.name): (it, trial) for it, trial, _ in found}.values():
        cfg = changed(OmegaConf.create(trial.config), {"load_encoder.ckpt_fname": str(encoder.path)})
        try:
            _, overruled = with_encoder(cfg, read_pretrained(cfg))
        except UserError:
            continue  # told where it is used
        others = [text for text in overruled if not text.endswith("(not auto)")]  # what is found in the data
        if others:
            lines.append(
                f"Note: {encoder.name} brings {', '.join(others)}; rows without it have what {trial.probe.name} says, "
                "so that pretraining is not all that they differ in: give --set the same"
            )
    return lines


def leak_warnings(found: Iterable[tuple[Encoder, Trial, Seen]]) -> list[str]:
    """A line for each encoder and probe where there is a leak, or where nobody can tell.

    Args:
        found: Encoder, trial, and what :func:`seen_of` gave.
    """
    together: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for encoder, trial, seen in found:
        together[encoder.name, trial.probe.name].append(seen)
    lines = []
    for (encoder, probe), all_seen in together.items():
        leaks = [seen for seen in all_seen if seen.events]
        if leaks:
            most = max(leaks, key=lambda seen: len(seen.events or ()))
            events = most.events or []
            by_content = f"; {most.shared} by the content of their records" if most.shared else ""
            lines.append(
                f"Warning: {encoder} has seen test events of {probe} in {len(leaks)} of {len(all_seen)} trials "
                f"(up to {len(events)}, {events[0]} among them{by_content}); its rows are not those of unseen events"
            )
        elif any(seen.events is None for seen in all_seen):
            lines.append(
                f"Warning: {encoder} does not say which events it was pretrained on; it may have seen those of {probe}"
            )
    return lines
