"""Stick-slip cycles like those of the LANL experiment: a noise floor, growing emissions, and failures.

The public training record is 9 GB; this makes a small one of its kind. Noise floor, spectrum and sizes of emissions are
those of the contest's two real segments (their power lies around 75 kHz and from 150 to 300 kHz, over white noise of
about 2 counts); that floor and emissions grow towards failure is what made the contest's best features work. All
times are divided by ``scale``: cycles, windows, targets and bins shrink together, so that every bin is met in a short
record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

SAMPLING_RATE = 4e6  # Hz
MEAN = 4.5  # counts: the sensor's offset
SPECTRUM = (  # Hz and power of the damped oscillations that an emission is made of, between them linear
    (40e3, 0.6), (75e3, 1.0), (150e3, 1.0), (165e3, 1.9), (235e3, 2.2), (255e3, 5.0), (280e3, 4.0), (300e3, 0.6),
    (330e3, 0.4), (500e3, 0.3), (800e3, 0.0),
)  # fmt: skip
SPACING = 12e3  # Hz between them
DECAY = 120e-6  # s


@dataclass(frozen=True)
class StickSlip:
    """How cycles are made. Times are those of the real experiment; the record's are divided by ``scale``.

    Attributes:
        scale: What times are divided by.
        shortest: Shortest cycle, in s.
        longest: Longest cycle, in s.
        white: Standard deviation of the white noise, in counts.
        floor: Standard deviation of the floor of small emissions long before failure, in counts.
        growth: By what the floor has grown at failure.
        rate: Emissions per 150,000 samples long before failure.
        rush: Time before failure in which their rate doubles again and again, in s.
        amplitude: Typical amplitude of an emission long before failure, in counts.
        tail: Exponent of the distribution of amplitudes.
        cap: Largest amplitude long before failure, in counts.
        largest: Largest amplitude at failure, in counts.
    """

    scale: float = 50.0
    shortest: float = 8.0
    longest: float = 16.0
    white: float = 2.0
    floor: float = 1.3
    growth: float = 3.5
    rate: float = 70.0
    rush: float = 1.2
    amplitude: float = 20.0
    tail: float = 3.0
    cap: float = 100.0
    largest: float = 3000.0


def synthesize(n_cycles: int, seed: int = 0, options: StickSlip | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Make a record of whole cycles; the last one ends before its failure, as the real one does.

    Args:
        n_cycles: Stretches between failures.
        seed: Of everything.
        options: How cycles are made.

    Returns:
        Signal (N,) int16 in counts, and time to failure (N,) float32 in s of the record.
    """
    options = options or StickSlip()
    generator = np.random.default_rng([seed, 41])
    signals, times = [], []
    for number in range(n_cycles):
        seconds = generator.uniform(options.shortest, options.longest) / options.scale
        n_samples = round(seconds * SAMPLING_RATE)
        time = (np.arange(n_samples, 0, -1) / SAMPLING_RATE).astype(np.float32)
        if number == n_cycles - 1:  # the record stops in the middle of a cycle
            time = time[: max(1, round(0.9 * n_samples))]
        times.append(time)
        signals.append(_cycle(time.astype(float) * options.scale, generator, options))
    return np.concatenate(signals), np.concatenate(times)


def _cycle(to_failure: np.ndarray, generator: np.random.Generator, options: StickSlip) -> np.ndarray:
    """Signal of one cycle from the (unscaled) time to failure of its samples; (n,) int16."""
    n_samples = len(to_failure)
    readiness = np.exp(-to_failure / 4.0)  # 0 long before failure, 1 at it
    emission = _emission(generator)
    floor = options.floor * (1 + (options.growth - 1) * readiness)
    x = _follow(generator.standard_normal(n_samples) * floor, emission)
    x *= np.sqrt(np.mean(floor**2)) / max(x.std(), 1e-9)
    x += generator.standard_normal(n_samples) * options.white
    # the rate grows like 1 / (time to failure), the largest event is the failure itself, 0.3 s before the time is over
    expected = options.rate / 150_000 * (1 + options.rush / np.maximum(to_failure, 0.05))
    shocks = np.flatnonzero(generator.random(n_samples) < expected)
    amplitude = options.amplitude * (1 + 3 * readiness[shocks]) * generator.pareto(options.tail, len(shocks))
    pulses = np.zeros(n_samples)
    limit = options.cap + (options.largest - options.cap) * readiness[shocks] ** 3
    pulses[shocks] = np.minimum(amplitude, limit) * generator.choice((-1, 1), len(shocks))
    slip = int(np.argmin(np.abs(to_failure - 0.3)))
    if to_failure[-1] < 0.3:
        burst = pulses[slip : slip + 40]
        burst += options.largest / 4 * generator.standard_normal(len(burst))
    x += _follow(pulses, emission)
    return np.clip(np.round(x + MEAN), -32768, 32767).astype(np.int16)


def _emission(generator: np.random.Generator) -> np.ndarray:
    """Damped oscillations of :data:`SPECTRUM` with random phases, their largest value 1: (n,)."""
    place, power = np.array(SPECTRUM).T
    frequency = np.arange(place[0], place[-1], SPACING)
    frequency += generator.uniform(-0.4, 0.4, len(frequency)) * SPACING
    phase = generator.uniform(0, 2 * np.pi, len(frequency))
    time = np.arange(round(6 * DECAY * SAMPLING_RATE)) / SAMPLING_RATE
    amplitude = np.sqrt(np.interp(frequency, place, power))
    shape = np.exp(-time / DECAY) * (amplitude @ np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None]))
    return shape / np.abs(shape).max()


def _follow(pulses: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Put a shape where the pulses are: (n,)."""
    return signal.oaconvolve(pulses, shape)[: len(pulses)]
