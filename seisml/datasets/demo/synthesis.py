"""Ground motion of small synthetic networks: sources through a scattering medium to geophones, in natural noise.

Everything is computed in the frequency domain on a buffer of ``n`` samples. Spectra are those of ``numpy.fft.rfft``;
motion is ground velocity with one row per channel, channels ordered station by station, Z N E within each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import fft, signal

_BAND_CENTRES = 2.0 ** np.arange(0, 9)  # Hz; octaves in which scattered waves decay at different rates


@dataclass(frozen=True)
class Medium:
    """What lies between source and station.

    Attributes:
        vp: P velocity in m/s.
        vs: S velocity in m/s.
        q: Quality factor of the direct S wave; P has twice that.
        coda_q: Quality factor of the scattered waves: they decay as exp(-pi f t / coda_q).
        coda_energy: Energy of the scattered waves over that of the direct wave.
    """

    vp: float
    vs: float
    q: float
    coda_q: float
    coda_energy: float


@dataclass(frozen=True)
class Network:
    """Three-component geophones on a slope.

    Attributes:
        positions: (S, 3), east, north and up in m.
        resonance: (S, 3) Hz, lowest frequency at which the soil under a station resonates, for each component.
        amplification: (S, 3), impedance of the rock over that of the soil, which is the gain at resonance; 1 = no soil.
        kappa: (S,) s, attenuation in the uppermost metres: exp(-pi kappa f) (Anderson and Hough 1984).
        natural_frequency: Hz, of the geophones.
        sampling_rate: Hz.
        n: Length of the buffer, in samples.
    """

    positions: np.ndarray
    resonance: np.ndarray
    amplification: np.ndarray
    kappa: np.ndarray
    natural_frequency: float
    sampling_rate: float
    n: int

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 3 * len(self.positions)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Frequencies of a spectrum, (n // 2 + 1,) in Hz."""
        return fft.rfftfreq(self.n, 1 / self.sampling_rate)

    @cached_property
    def site(self) -> np.ndarray:
        """Site response (C, F): a layer of soil on a half-space of rock, and the loss in the uppermost metres.

        Waves from below resonate in the layer at its quarter wavelength and odd multiples (Haskell 1960).
        """
        angle = 0.5 * np.pi * self.frequencies / self.resonance.reshape(-1, 1)
        layer = 1 / (np.cos(angle) + 1j * np.sin(angle) / self.amplification.reshape(-1, 1))
        return layer * np.exp(-np.pi * self.frequencies * np.repeat(self.kappa, 3)[:, None])

    @cached_property
    def instrument(self) -> np.ndarray:
        """Response (F,) of a geophone (second-order high-pass, 0.7 of critical damping) to ground velocity."""
        f, f0 = self.frequencies, self.natural_frequency
        return -(f**2) / (f0**2 - f**2 + 2j * 0.7 * f0 * f)

    @cached_property
    def anti_alias(self) -> np.ndarray:
        """Response (F,) of the recorder's low-pass filter, with its corner at 80 % of the Nyquist frequency."""
        corner = 0.8 * self.sampling_rate / 2
        return signal.freqz_sos(
            signal.butter(6, corner, fs=self.sampling_rate, output="sos"), self.frequencies, fs=self.sampling_rate
        )[1]


def brune_pulse(network: Network, corner: float, time: float) -> np.ndarray:
    """Spectrum (F,) of the far-field velocity pulse of Brune's (1970) source, for unit moment rate area.

    The displacement pulse is t exp(-2 pi fc t), whose spectrum 1 / (1 + i f / fc)^2 falls with the square of the
    frequency above the corner.
    """
    f = network.frequencies
    return 2j * np.pi * f / (1 + 1j * f / corner) ** 2 * np.exp(-2j * np.pi * f * time)


def propagate(
    network: Network, source: np.ndarray, position: np.ndarray, medium: Medium, generator: np.random.Generator
) -> np.ndarray:
    """Carry a source to all channels: direct P and S with spreading, attenuation and polarisation, and their coda.

    Args:
        network: Where it is recorded.
        source: Spectrum (F,) of what the source radiates, as far-field velocity.
        position: (3,) of the source in m.
        medium: What lies between.
        generator: Draws radiation, polarisation and the scattered waves.

    Returns:
        Spectra of ground velocity, (C, F), in arbitrary units.
    """
    f = network.frequencies
    rays = network.positions - position
    distance = np.linalg.norm(rays, axis=1)
    rays = _towards_vertical(rays / distance[:, None])
    axis = generator.normal(size=3)  # a double couple's S motion, put across the ray
    across = np.cross(rays, axis / np.linalg.norm(axis))
    radiation = generator.uniform(0.4, 1.0, (2, len(rays)))
    motion = np.zeros((network.n_channels, len(f)), dtype=np.complex128)
    for speed, q, strength, direction in (
        (medium.vp, 2 * medium.q, radiation[0], rays),
        (medium.vs, medium.q, radiation[1], across),
    ):
        travel = distance / speed
        size = strength * (medium.vs / speed) ** 3 / distance  # far field of a double couple: 1 / (rho c^3 R)
        loss = np.exp(-np.pi * f * (travel / q)[:, None]) * np.exp(-2j * np.pi * f * travel[:, None])
        polarised = direction[:, [2, 1, 0]].reshape(-1, 1)  # east, north, up -> Z N E
        arrival = np.repeat(size[:, None] * loss, 3, axis=0)
        motion += arrival * (polarised + scattering(network, medium, generator) / np.sqrt(3))
    return motion * source * network.site


def scattering(network: Network, medium: Medium, generator: np.random.Generator) -> np.ndarray:
    """Spectra (C, F) of the train of scattered waves that follows a unit pulse, another one on every channel.

    Random noise whose octave bands start together, rise quickly and decay exponentially, high frequencies first
    (single scattering with a constant coda Q; Aki and Chouet 1975).
    """
    n = network.n
    noise = fft.rfft(generator.standard_normal((network.n_channels, n), dtype=np.float32), axis=1)
    time = np.arange(n, dtype=np.float32) / np.float32(network.sampling_rate)
    series = np.zeros((network.n_channels, n), dtype=np.float32)
    for centre, (first, weight) in zip(_BAND_CENTRES, _octaves(network.sampling_rate, n), strict=False):
        envelope = np.exp(-time * (np.pi * centre / medium.coda_q)) * (1 - np.exp(-time * centre))
        envelope *= np.sqrt(medium.coda_energy / max(np.sum(envelope**2), 1e-12))
        band = np.zeros_like(noise)
        band[:, first : first + len(weight)] = noise[:, first : first + len(weight)] * weight
        series += fft.irfft(band, n, axis=1) * envelope
    return fft.rfft(series, axis=1)


@lru_cache(maxsize=4)
def _octaves(sampling_rate: float, n: int) -> list[tuple[int, np.ndarray]]:
    """Overlapping octave bands below the Nyquist frequency, which sum to one: first bin and weights of each."""
    f = fft.rfftfreq(n, 1 / sampling_rate)
    bands = []
    for centre in _BAND_CENTRES[_BAND_CENTRES / 2 < f[-1]]:
        octave = np.log2(np.maximum(f, _BAND_CENTRES[0]) / centre)
        used = np.flatnonzero(abs(octave) < 1)
        bands.append((int(used[0]), (np.cos(0.5 * np.pi * octave[used]) ** 2).astype(np.float32)))
    return bands


def background_noise(network: Network, level: float, generator: np.random.Generator) -> np.ndarray:
    """Ground velocity (C, n) in m/s of natural noise, a mixture of Peterson's low- and high-noise models.

    Args:
        network: Where it is recorded.
        level: 0 gives the new low-noise model, 1 the new high-noise model, between them a mean in dB.
        generator: Draws the noise and its slow changes of strength (wind).

    Returns:
        Noise with the soil's amplification and the geophone's response.
    """
    f, n = network.frequencies, network.n
    velocity = np.sqrt(10 ** (_peterson_db(network.sampling_rate, n, level) / 10)) / (2 * np.pi * f[1:])
    scale = np.sqrt(network.sampling_rate / 2)  # from a one-sided density to a standard deviation of samples
    filters = network.site * network.instrument
    filters[:, 1:] *= velocity
    filters[:, 0] = 0
    white = generator.standard_normal((2, network.n_channels, n), dtype=np.float32) * np.float32(scale)
    ground = fft.irfft(fft.rfft(white[0], axis=1) * filters, n, axis=1)
    # the recorder's noise is flat in frequency and lies below the ground's
    recorder = 10 ** generator.uniform(-1.6, -0.9) * np.interp(30.0, f[1:], velocity)
    return ground * _gusts(network, generator) + white[1] * recorder


def mains_hum(network: Network, generator: np.random.Generator, mains: float = 50.0) -> np.ndarray:
    """Hum (C, n) of the mains and its overtones with unit variance on the worst channel; absent on most."""
    time = np.arange(network.n) / network.sampling_rate
    overtones = mains * np.arange(1, 1 + int(0.8 * network.sampling_rate / 2 / mains))
    overtones = overtones * (1 + generator.normal(0, 2e-4))
    amplitudes = generator.exponential(1.0, (network.n_channels, len(overtones)))
    amplitudes *= (generator.random(network.n_channels) < 0.3)[:, None]
    waves = np.sin(2 * np.pi * overtones[:, None] * time + generator.uniform(0, 2 * np.pi, (len(overtones), 1)))
    hum = amplitudes @ waves
    return hum / max(hum.std(axis=1).max(), 1e-12)


def _gusts(network: Network, generator: np.random.Generator) -> np.ndarray:
    """Slow changes of the noise level, (C, n), mostly common to all channels."""
    f = network.frequencies
    slow = np.exp(-((f[: np.searchsorted(f, 1.5)] / 0.4) ** 2))
    slow[0] = 0
    spectra = (generator.normal(size=(1 + network.n_channels, len(slow), 2)) @ np.array([1, 1j])) * slow
    curves = fft.irfft(spectra[:1] + 0.3 * spectra[1:], network.n, axis=1)
    return np.exp(generator.uniform(0.05, 0.35) * curves / curves.std(axis=1, keepdims=True))


def _towards_vertical(rays: np.ndarray) -> np.ndarray:
    """Bend rays upwards, as soft ground does (refraction)."""
    bent = rays * np.array([0.6, 0.6, 1.0])
    bent[:, 2] += np.where(bent[:, 2] >= 0, 0.2, -0.2)
    return bent / np.linalg.norm(bent, axis=1, keepdims=True)


@lru_cache(maxsize=4)
def _peterson_curves(sampling_rate: float, n: int) -> np.ndarray:
    """Peterson's (1993) low- and high-noise models in dB of (m/s^2)^2 / Hz, (2, F - 1), without frequency 0.

    Above 10 Hz, where they end, their last value is held.
    """
    from obspy.signal.spectral_estimation import get_nhnm, get_nlnm  # here: a first step need not wait for ObsPy

    f = fft.rfftfreq(n, 1 / sampling_rate)[1:]
    curves = []
    for periods, power in (get_nlnm(), get_nhnm()):
        order = np.argsort(periods)
        curves.append(np.interp(-np.log10(f), np.log10(periods[order]), power[order]))
    return np.stack(curves)


def _peterson_db(sampling_rate: float, n: int, level: float) -> np.ndarray:
    low, high = _peterson_curves(sampling_rate, n)
    return (1 - level) * low + level * high
