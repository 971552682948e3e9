"""From probabilities of windows to detections: event windows that overlap merged, and trimmed to the event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seisml.errors import UserError, nearest
from seisml.evaluation.decision import Decision, find_noise

PLATEAU = 0.01  # networks are as good as certain of many windows of an event: the peak is the middle one of those


@dataclass(frozen=True)
class Detection:
    """An event found in one instrument's record. Times in ns since 1970.

    Attributes:
        start: From here on, and until ``end``, at least half as many windows say event as where most of them do: each
            window counts, by its event probability, for all the time it covers. An onset before it moves it there.
        end: See ``start``.
        peak: Centre of the window that is most certainly an event; of several that are within 0.01, the middle one.
        label: The event class with the largest summed probability.
        probability: Largest event probability of a window: the sum over the event classes.
        label_probability: Probability of ``label`` in the peak window.
        n_windows: Event windows merged.
        rise: First and last time between which the event can have begun: at the latest with the end of the first
            window that says event.
        onset: When it began: ``start``, until a picker has looked at the waveform (:mod:`seisml.detection.onsets`).
        onset_uncertainty: Of the onset, in s.
        picked: Whether a picker found the onset; else it comes from the probabilities alone.
    """

    start: int
    end: int
    peak: int
    label: str
    probability: float
    label_probability: float
    n_windows: int
    rise: tuple[int, int]
    onset: int
    onset_uncertainty: float
    picked: bool = False


@dataclass(frozen=True)
class DetectionRule:
    """What counts as a detection.

    Attributes:
        classes: All classes, in the order of the probabilities.
        events: Numbers of the classes that are events.
        threshold: Least event probability of an event window.
        min_length: Least time in s over which windows must say event: the number of windows times the step.
        join: Event windows with up to so many seconds between them are one detection, as those are that overlap.
    """

    classes: tuple[str, ...]
    events: tuple[int, ...]
    threshold: float = 0.5
    min_length: float = 0.0
    join: float = 0.0

    @classmethod
    def of(
        cls,
        classes: Sequence[str],
        noise_class: str | None = None,
        events: Sequence[str] | None = None,
        threshold: float = 0.5,
        min_length: float = 0.0,
        join: float = 0.0,
    ) -> DetectionRule:
        """Find the event classes by name.

        Args:
            classes: The checkpoint's classes.
            noise_class: The class that means "no event"; by default the one called noise, in whatever case.
            events: Names of the classes to detect; by default all but the noise class.
            threshold: See the attributes.
            min_length: See the attributes.
            join: See the attributes.

        Raises:
            UserError: A name is unknown, no class means noise, or a number is out of range.
        """
        classes = tuple(classes)
        if not 0 < threshold <= 1:
            raise UserError(f"--threshold: {threshold:g} is not a probability; give one above 0, up to 1")
        for name, value in (("min-length", min_length), ("join", join)):
            if not 0 <= value < np.inf:
                raise UserError(f"--{name}: {value:g} s is not a length of time; give 0 or more")
        for name in (*(events or ()), *([noise_class] if noise_class else ())):
            if name not in classes:
                option = "--classes" if name in (events or ()) else "--noise-class"
                raise UserError(f"{option}: the checkpoint has no class {name!r}; {nearest(name, classes)}")
        if not events:
            noise = find_noise(classes, noise_class)
            if noise is None:
                raise UserError(
                    f"none of the checkpoint's classes ({', '.join(classes)}) is called noise; name the one that means "
                    "no event with --noise-class, or those to detect with --classes"
                )
            events = [name for name in classes if name != noise]
        if not events:
            raise UserError(f"the checkpoint knows no class but {classes[0]!r}; there is nothing to detect")
        return cls(classes, tuple(classes.index(name) for name in events), threshold, min_length, join)

    def asks(self, decision: Decision) -> bool:
        """Whether a threshold was chosen for the question of this rule: the same classes are events."""
        return set(self.events) == {k for k, name in enumerate(self.classes) if name != decision.noise_class}

    def event_probability(self, probability: np.ndarray) -> np.ndarray:
        """Sum over the event classes, (N, K) -> (N,)."""
        return probability[:, list(self.events)].sum(axis=1)


@dataclass
class _Run:
    """Event windows that follow one another: start times and probabilities, a part for each piece handed over."""

    times: list[np.ndarray]
    probability: list[np.ndarray]


class Detector:
    """Merges windows of one instrument, handed over in pieces of any length in order of time.

    Event windows that overlap are one detection, so that no two detections do. A detection that reaches the end of a
    piece is carried over to the next, so that pieces leave no trace.

    Args:
        rule: What counts as a detection.
        step: Time from one window to the next, in s.
        length: Length of a window, in s.
    """

    def __init__(self, rule: DetectionRule, step: float, length: float) -> None:
        self.rule = rule
        self.step, self.length = round(step * 1e9), round(length * 1e9)
        apart = max(self.length - 1000, self.step + 1000)  # a microsecond for the rounding of times
        self.reach = apart + round(rule.join * 1e9)
        self.open: _Run | None = None

    def feed(self, times: np.ndarray, probability: np.ndarray) -> list[Detection]:
        """Take the next windows.

        Args:
            times: (N,) start times in ns, ascending; windows that were not predicted are left out.
            probability: (N, K) of all classes.

        Returns:
            The detections that ended.
        """
        event = self.rule.event_probability(probability)
        chosen = np.flatnonzero(event >= self.rule.threshold)  # NaN is not an event
        done: list[Detection] = []
        if not len(chosen):
            return done
        breaks = np.flatnonzero(np.diff(times[chosen]) > self.reach) + 1
        for rows in np.split(chosen, breaks):
            own_times, own_probability = times[rows], probability[rows]  # copies: the piece itself is not kept
            if self.open is not None and own_times[0] - self.open.times[-1][-1] <= self.reach:
                self.open.times.append(own_times)
                self.open.probability.append(own_probability)
                continue
            done.extend(self.close())
            self.open = _Run([own_times], [own_probability])
        return done

    def close(self) -> list[Detection]:
        """End the record: returns the detection that was still open, if any."""
        run, self.open = self.open, None
        n_windows = sum(map(len, run.times)) if run else 0
        if run is None or n_windows * self.step < round(self.rule.min_length * 1e9):
            return []
        times, probability = np.concatenate(run.times), np.concatenate(run.probability)
        event = self.rule.event_probability(probability)
        events = list(self.rule.events)
        label = events[int(np.argmax(probability[:, events].sum(axis=0, dtype=np.float64)))]
        best = np.flatnonzero(event >= event.max() - PLATEAU)
        peak = best[len(best) // 2]
        start, end = self._trimmed(times, event)
        first, half = int(times[0]), self.length // 2
        return [
            Detection(
                start=start,
                end=end,
                peak=int(times[peak]) + half,
                label=self.rule.classes[label],
                probability=min(1.0, float(event.max())),
                label_probability=float(probability[peak, label]),
                n_windows=n_windows,
                rise=(max(first, start - half), max(start + half, min(first + self.length, end))),
                onset=start,
                onset_uncertainty=half * 1e-9,
            )
        ]

    def _trimmed(self, times: np.ndarray, event: np.ndarray) -> tuple[int, int]:
        """First and last time at which half of the most windows say event, (N,) start times and probabilities."""
        weight = event.astype(np.float64)
        places = np.concatenate([times, times + self.length])
        order = np.argsort(places, kind="stable")
        places = places[order]
        covered = np.cumsum(np.concatenate([weight, -weight])[order])
        covered[:-1][places[1:] == places[:-1]] = 0.0  # between two changes at one time there is nothing
        inside = np.flatnonzero(covered >= covered.max() / 2)
        return int(places[inside[0]]), int(places[inside[-1] + 1])
