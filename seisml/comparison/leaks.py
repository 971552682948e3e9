"""What an encoder may have seen of what it is tested on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from seisml.comparison.plan import Trial
from seisml.comparison.planning import Encoder
from seisml.run.checkpoints import read_checkpoint, read_record
from seisml.store.identity import event_hashes


def seen_events(encoder: Encoder, trial: Trial) -> list[str] | None:
    """Test events of a trial that an encoder was trained on, by name; None where its file does not say."""
    seen = read_record(read_checkpoint(encoder.path), encoder.path).get("seen_events")
    if seen is None:
        return None
    known = np.isin(event_hashes(trial.test_events), seen.numpy())
    return [name for name, is_known in zip(trial.test_events, known, strict=True) if is_known]


def leak_warnings(found: Iterable[tuple[Encoder, Trial, list[str] | None]]) -> list[str]:
    """A line for each encoder and probe where there is a leak, or where nobody can tell.

    Args:
        found: Encoder, trial, and what :func:`seen_events` gave.
    """
    together: dict[tuple[str, str], list[list[str] | None]] = defaultdict(list)
    for encoder, trial, seen in found:
        together[encoder.name, trial.probe.name].append(seen)
    lines = []
    for (encoder, probe), seen in together.items():
        leaks = [events for events in seen if events]
        if leaks:
            most = max(map(len, leaks))
            lines.append(
                f"Warning: leak: {encoder} has seen test events of {probe} in {len(leaks)} of {len(seen)} trials "
                f"(up to {most}, {leaks[0][0]} among them); its rows do not show what unseen events would give"
            )
        elif None in seen:
            lines.append(
                f"Warning: {encoder} does not say which events it was pretrained on; it may have seen those of {probe}"
            )
    return lines
