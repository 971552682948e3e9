"""Synthetic events of the eight Aknes classes, as a small network on the slope would record them.

The classes follow Langet and Silverberg (2023, doi 10.5194/esurf-11-89-2023). What tells them apart is the shape of
the signal only: signal-to-noise ratio, gain and the position of the strongest moment are drawn from the same
distributions for every class.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from seisml.datasets.demo.synthesis import Medium, Network, background_noise, brune_pulse, mains_hum, propagate

SAMPLING_RATE = 250.0  # Hz
N_SAMPLES = 2000  # 8 s
SNR_DB = (10.0, 30.0)  # strongest 0.2 s of the signal against the noise, mean over channels
POSITION = (0.2, 0.8)  # of the strongest moment, as a fraction of the record
PEAK_COUNTS = (1.6, 3.4)  # log10 of the record's amplitude in counts

NETWORK = Network(
    positions=np.array([[0.0, 0.0, 0.0], [140.0, 90.0, 60.0]]),
    resonance=np.array([[21.0, 14.0, 15.5], [33.0, 19.0, 24.0]]),
    amplification=np.array([[1.5, 2.6, 2.4], [1.4, 2.0, 2.2]]),
    kappa=np.array([0.004, 0.007]),
    natural_frequency=4.5,
    sampling_rate=SAMPLING_RATE,
    n=6000,  # 24 s, so that long events are cut like real ones
)
CHANNELS = tuple(f"SY.DEM{station}..DP{component}" for station in (1, 2) for component in "ZNE")


def synthesize(label: str, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Make one record.

    Args:
        label: One of :data:`CLASSES`.
        generator: Source of all randomness.

    Returns:
        Counts (C, T) float32, and the signal-to-noise ratio in dB (NaN for ``Noise``).
    """
    noise = background_noise(NETWORK, generator.uniform(0.45, 0.8), generator)
    scale = noise.std(axis=1, keepdims=True)
    noise = noise + scale * generator.uniform(0, 0.4) * mains_hum(NETWORK, generator)
    noise *= 10 ** generator.normal(0, 0.15, (len(noise), 1)) / scale  # gains of the channels, cables and couplings
    position, snr = generator.uniform(*POSITION), generator.uniform(*SNR_DB)
    shift = int(position * N_SAMPLES)
    make = CLASSES[label]
    if make is None:
        record, snr = _cut(noise, shift, noise), float("nan")
    else:
        clean = make(generator) / scale
        strongest = _envelope(clean).max()
        record = _cut(clean / strongest * 10 ** (snr / 20), shift, clean)
        first = generator.integers(0, NETWORK.n - N_SAMPLES + 1)
        quiet = noise[:, first : first + N_SAMPLES]
        record = record * np.sqrt(np.mean(quiet**2)) + quiet
    spectrum = fft.rfft(record, axis=1) * np.interp(
        fft.rfftfreq(N_SAMPLES, 1 / SAMPLING_RATE), NETWORK.frequencies, abs(NETWORK.anti_alias)
    )
    record = fft.irfft(spectrum, N_SAMPLES, axis=1)
    # between peak and RMS, so that neither gives a class away
    size = np.sqrt(abs(record).max() * np.sqrt(np.mean(record**2)))
    return np.round(record * 10 ** generator.uniform(*PEAK_COUNTS) / size).astype(np.float32), snr


def regional(generator: np.random.Generator) -> np.ndarray:
    """An earthquake 8 to 24 km away: P and S apart, low frequencies, a long coda."""
    medium = Medium(
        vp=6000.0, vs=3450.0, q=generator.uniform(250, 600), coda_q=generator.uniform(80, 200), coda_energy=12.0
    )
    position = _somewhere(generator, 8e3 * 3 ** generator.random(), depth=(3e3, 15e3))
    corner = 2.0 * 5.0 ** generator.random()
    return _motion(propagate(NETWORK, brune_pulse(NETWORK, corner, 3.0), position, medium, generator))


def rockfall(generator: np.random.Generator) -> np.ndarray:
    """Blocks bouncing down the slope: many impacts under an envelope that grows and dies away."""
    duration = generator.uniform(3.0, 7.0)
    n_impacts = generator.integers(15, 60)
    times = 6.0 + duration * generator.beta(2.2, 2.8, n_impacts)
    envelope = np.sin(np.pi * np.clip((times - 6.0) / duration, 0.02, 0.98))
    sizes = generator.lognormal(0, 0.8, n_impacts) * envelope
    corners = generator.uniform(12, 60, n_impacts)
    source = sum(
        size * sign * brune_pulse(NETWORK, corner, time) / corner
        for size, sign, corner, time in zip(sizes, generator.choice([-1, 1], n_impacts), corners, times, strict=True)
    )
    medium = _slope_medium(generator, coda_energy=4.0)
    return _motion(
        propagate(NETWORK, source, _somewhere(generator, generator.uniform(150, 700), (-80, 5)), medium, generator)
    )


def slope_hf(generator: np.random.Generator) -> np.ndarray:
    """A crack near the network: short, high corner frequency."""
    return _motion(_local(generator, generator.uniform(40, 80), 8.0))


def slope_lf(generator: np.random.Generator) -> np.ndarray:
    """A larger or softer rupture in the slope: low corner frequency."""
    return _motion(_local(generator, generator.uniform(4, 12), 8.0))


def slope_multi(generator: np.random.Generator) -> np.ndarray:
    """Several slope events in sequence, from about the same place."""
    count = generator.integers(3, 6)
    times = 7.0 + np.cumsum(generator.uniform(0.5, 1.3, count))
    corner = generator.choice([generator.uniform(8, 20), generator.uniform(30, 70)])
    sizes = generator.lognormal(0, 0.4, count)
    source = sum(
        size * brune_pulse(NETWORK, corner * factor, time)
        for size, factor, time in zip(sizes, generator.uniform(0.8, 1.25, count), times, strict=True)
    )
    place = _somewhere(generator, generator.uniform(60, 400), (10, 120))
    return _motion(propagate(NETWORK, source, place, _slope_medium(generator), generator))


def slope_tremor(generator: np.random.Generator) -> np.ndarray:
    """Continuous slip or flow: band-limited noise or a gliding harmonic tone, for seconds."""
    n, time = NETWORK.n, np.arange(NETWORK.n) / SAMPLING_RATE
    duration = generator.uniform(4.0, 12.0)
    phase = np.clip((time - 5.0) / duration, 0, 1)
    skew = generator.uniform(0.6, 1.7)
    envelope = np.sin(np.pi * phase**skew) ** generator.uniform(0.5, 1.5)
    centre = 6.0 * 5.0 ** generator.random()
    f = NETWORK.frequencies
    band = np.exp(-0.5 * (np.log2(np.maximum(f, 0.1) / centre) / generator.uniform(0.3, 0.7)) ** 2)
    series = fft.irfft(fft.rfft(generator.normal(size=n)) * band, n)
    series *= envelope / series.std()
    if generator.random() < 0.5:
        tone = 5.0 * 2.4 ** generator.random() * 2 ** (generator.uniform(-0.5, 0.5) * phase)
        angle = 2 * np.pi * np.cumsum(tone) / SAMPLING_RATE
        for overtone in range(1, 6):
            series += envelope * np.sin(overtone * angle + generator.uniform(0, 6.28)) * 1.5 / overtone
    medium = _slope_medium(generator)
    place = _somewhere(generator, generator.uniform(100, 500), (5, 100))
    return _motion(propagate(NETWORK, fft.rfft(series), place, medium, generator))


def spike(generator: np.random.Generator) -> np.ndarray:
    """A discharge in cable or recorder: milliseconds long, on some channels, without any ground motion."""
    time = np.arange(NETWORK.n) / SAMPLING_RATE - 8.0
    decay = 0.002 * 6.0 ** generator.random()  # s
    pulse = np.where(time >= 0, np.exp(-np.maximum(time, 0) / decay), 0)
    if generator.random() < 0.4:
        pulse *= np.cos(2 * np.pi * generator.uniform(40, 110) * time)
    coupling = generator.lognormal(0, 0.6, NETWORK.n_channels) * generator.choice([-1, 1], NETWORK.n_channels)
    hit = generator.permutation(NETWORK.n_channels) < generator.integers(4, NETWORK.n_channels + 1)
    return (coupling * hit)[:, None] * pulse


CLASSES: dict[str, Callable[[np.random.Generator], np.ndarray] | None] = {
    "Noise": None,
    "Regional": regional,
    "Rockfall": rockfall,
    "Slope_HF": slope_hf,
    "Slope_LF": slope_lf,
    "Slope_Multi": slope_multi,
    "Slope_Tremor": slope_tremor,
    "Spike": spike,
}


def _local(generator: np.random.Generator, corner: float, time: float) -> np.ndarray:
    place = _somewhere(generator, generator.uniform(60, 400), (10, 120))
    return propagate(NETWORK, brune_pulse(NETWORK, corner, time), place, _slope_medium(generator), generator)


def _slope_medium(generator: np.random.Generator, coda_energy: float | None = None) -> Medium:
    """Fractured rock: slow, lossy, scattering."""
    vp = generator.uniform(1800, 3200)
    energy = generator.uniform(1.0, 3.0) if coda_energy is None else coda_energy
    return Medium(vp, vp / 1.8, q=generator.uniform(25, 60), coda_q=generator.uniform(12, 35), coda_energy=energy)


def _somewhere(generator: np.random.Generator, distance: float, depth: tuple[float, float]) -> np.ndarray:
    """Draw a position (3,) in m: a horizontal distance from the network, and a range of depth below its foot."""
    azimuth = generator.uniform(0, 2 * np.pi)
    middle = NETWORK.positions.mean(axis=0)
    return np.array(
        [
            middle[0] + distance * np.sin(azimuth),
            middle[1] + distance * np.cos(azimuth),
            -generator.uniform(*depth),
        ]
    )


def _motion(spectra: np.ndarray) -> np.ndarray:
    """What the geophones give for ground velocity spectra (C, F): (C, n)."""
    return fft.irfft(spectra * NETWORK.instrument, NETWORK.n, axis=1)


def _envelope(motion: np.ndarray, seconds: float = 0.2) -> np.ndarray:
    """Running RMS over all channels, (n,)."""
    width = int(seconds * SAMPLING_RATE)
    power = np.cumsum(np.concatenate([np.zeros(1), np.mean(motion**2, axis=0)]))
    return np.sqrt(np.maximum(power[width:] - power[:-width], 0) / width)


def _cut(motion: np.ndarray, shift: int, reference: np.ndarray) -> np.ndarray:
    """Cut a record (C, N_SAMPLES) in which the strongest moment of the reference lies ``shift`` samples in."""
    envelope = _envelope(reference)
    inside = envelope[N_SAMPLES : len(envelope) - N_SAMPLES] if motion is reference else envelope
    first = int(inside.argmax()) + (N_SAMPLES if motion is reference else 0) + (motion.shape[1] - len(envelope)) // 2
    start = first - shift
    padded = np.pad(motion, ((0, 0), (max(0, -start), max(0, start + N_SAMPLES - motion.shape[1]))))
    start = max(start, 0)
    return padded[:, start : start + N_SAMPLES]
