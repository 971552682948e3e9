"""Detections, and events of the network, as QuakeML: an event with a pick for each detection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from obspy import UTCDateTime
from obspy.core.event import Catalog, Comment, Event, Pick, QuantityError, ResourceIdentifier, WaveformStreamID

from seisml.detection.coincidence import NetworkEvent
from seisml.detection.detections import Detection
from seisml.waveforms.index import Instrument
from seisml.waveforms.times import format_time


def detections_catalog(found: Iterable[tuple[Instrument, Detection]], method: str) -> Catalog:
    """Make a catalogue with an event for each detection.

    Args:
        found: Instrument and detection.
        method: What found them, for the picks' ``method_id``.
    """
    catalog = Catalog(resource_id=ResourceIdentifier("smi:local/seisml/detections"))
    for instrument, detection in found:
        root = _root(instrument, detection)
        words = (
            f"class {detection.label}", f"probability {detection.probability:.4f}",
            f"start {format_time(detection.start)}", f"end {format_time(detection.end)}",
        )  # fmt: skip
        catalog.append(_event(root, [(instrument, detection)], words, method))
    return catalog


def events_catalog(events: Sequence[NetworkEvent], method: str) -> Catalog:
    """Make a catalogue with an event for each coincidence, with the picks of its stations.

    Args:
        events: What several stations detected.
        method: What found them, for the picks' ``method_id``.
    """
    catalog = Catalog(resource_id=ResourceIdentifier("smi:local/seisml/events"))
    for event in events:
        words = (
            f"class {event.label}", f"probability {event.probability:.4f}", f"stations {len(event.detections)}",
        )  # fmt: skip
        catalog.append(_event(f"smi:local/seisml/event/{event.time}", event.detections, words, method))
    return catalog


def _event(root: str, picks: Sequence[tuple[Instrument, Detection]], words: Sequence[str], method: str) -> Event:
    comments = [
        Comment(text=text, resource_id=ResourceIdentifier(f"{root}/comment/{i}")) for i, text in enumerate(words)
    ]
    return Event(
        resource_id=ResourceIdentifier(root), picks=[_pick(root, *pick, method) for pick in picks], comments=comments
    )


def _pick(root: str, instrument: Instrument, detection: Detection, method: str) -> Pick:
    finder = "seisml" if detection.picked else "seisml/probability"  # without a rise in the waveform there is no more
    return Pick(
        resource_id=ResourceIdentifier(f"{root}/pick/{_plain(str(instrument))}"),
        time=UTCDateTime(ns=detection.onset),
        time_errors=QuantityError(uncertainty=detection.onset_uncertainty),
        waveform_id=WaveformStreamID(
            instrument.network, instrument.station, instrument.location or None, instrument.band or None
        ),
        evaluation_mode="automatic",
        method_id=ResourceIdentifier(f"smi:local/{finder}/{_plain(method)}"),
    )


def _root(instrument: Instrument, detection: Detection) -> str:
    name = instrument.channel_id("")
    return f"smi:local/seisml/{_plain(f'{name}/{detection.start}')}"


def _plain(text: str) -> str:
    """Letters that a resource identifier may have."""
    return "".join(c if c.isalnum() or c in "./-_" else "-" for c in text)
