from dataclasses import replace

import numpy as np
import pytest
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from scipy import fft, signal

from seisml.datasets.demo.events import CHANNELS, CLASSES, N_SAMPLES, NETWORK, SAMPLING_RATE, synthesize
from seisml.datasets.demo.synthesis import Medium, background_noise, brune_pulse, mains_hum, propagate, scattering

BARE = replace(NETWORK, amplification=np.ones((2, 3)), kappa=np.zeros(2))
ROCK = Medium(vp=3000.0, vs=1700.0, q=50.0, coda_q=30.0, coda_energy=0.0)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize(("level", "model"), [(0.0, get_nlnm), (1.0, get_nhnm)])
def test_background_noise_has_petersons_spectrum(generator, level, model):
    noise = np.concatenate([background_noise(BARE, level, generator) for _ in range(10)])
    frequency, velocity = signal.welch(noise, SAMPLING_RATE, nperseg=1000)
    velocity = np.exp(np.log(velocity).mean(axis=0))
    response = np.interp(frequency, BARE.frequencies, abs(BARE.instrument))
    used = (frequency >= 2) & (frequency <= 10)
    decibel = 10 * np.log10(velocity[used] * (2 * np.pi * frequency[used] / response[used]) ** 2)
    periods, power = model()
    order = np.argsort(periods)
    expected = np.interp(np.log10(1 / frequency[used]), np.log10(periods[order]), power[order])
    np.testing.assert_allclose(decibel, expected, atol=1.5)


def test_brune_pulse_has_its_corner_and_starts_on_time():
    corner, time = 10.0, 8.0
    spectrum = brune_pulse(NETWORK, corner, time)
    f = NETWORK.frequencies
    displacement = abs(spectrum[1:]) / (2 * np.pi * f[1:])
    assert displacement[np.searchsorted(f[1:], corner)] == pytest.approx(0.5, rel=0.01)
    assert displacement[-1] == pytest.approx((corner / f[-1]) ** 2, rel=0.02)
    pulse = fft.irfft(spectrum, NETWORK.n)
    start = int(time * SAMPLING_RATE)
    assert np.argmax(abs(pulse)) in range(start, start + 3)
    assert abs(pulse[: start - 50]).max() < 0.02 * abs(pulse).max()


def test_waves_arrive_with_p_and_s_velocity_and_their_polarisation(generator):
    distance = 2000.0
    source = np.array([0.0, 0.0, -distance])  # straight below the first station
    motion = fft.irfft(propagate(BARE, brune_pulse(BARE, 30.0, 2.0), source, ROCK, generator), BARE.n, axis=1)
    time = np.arange(BARE.n) / SAMPLING_RATE
    p, s = ((time > 2 + distance / speed - 0.02) & (time < 2 + distance / speed + 0.1) for speed in (ROCK.vp, ROCK.vs))
    energy = np.sum(motion**2)
    first = motion[:3]
    assert np.sum(first[:, p | s] ** 2) > 0.95 * np.sum(first**2)
    assert np.sum(first[0, p] ** 2) > 100 * np.sum(first[1:, p] ** 2)  # P shakes up and down
    assert np.sum(first[1:, s] ** 2) > 100 * np.sum(first[0, s] ** 2)  # S across
    assert np.sum(first[:, s] ** 2) > np.sum(first[:, p] ** 2)
    assert energy > 0


def test_distance_weakens_and_takes_high_frequencies_first(generator):
    f = BARE.frequencies
    spectra = [
        abs(propagate(BARE, np.ones(len(f)), np.array([0.0, 0.0, -depth]), replace(ROCK, vp=1e9), generator)[1:3])
        for depth in (500.0, 2000.0)
    ]
    near, far = (np.sqrt(np.sum(spectrum**2, axis=0)) for spectrum in spectra)
    ratio = far / near
    low, high = ratio[np.searchsorted(f, 1.0)], ratio[np.searchsorted(f, 41.0)]
    assert high / low == pytest.approx(np.exp(-np.pi * 40.0 * 1500.0 / (ROCK.vs * ROCK.q)), rel=0.05)


def test_scattered_waves_have_their_energy_and_decay(generator):
    medium = replace(ROCK, coda_energy=2.0)
    series = np.concatenate([fft.irfft(scattering(NETWORK, medium, generator), NETWORK.n, axis=1) for _ in range(20)])
    band = signal.sosfiltfilt(signal.butter(2, (14, 18), "bandpass", fs=SAMPLING_RATE, output="sos"), series, axis=1)
    power = (band**2).mean(axis=0)
    times = np.arange(NETWORK.n) / SAMPLING_RATE
    decay = np.polyfit(times[50:500], np.log(power[50:500]), 1)[0]
    assert decay == pytest.approx(-2 * np.pi * 16.0 / medium.coda_q, rel=0.15)
    assert np.mean(np.sum(series**2, axis=1)) == pytest.approx(medium.coda_energy, rel=0.4)


def test_site_response_amplifies_its_resonance():
    f = NETWORK.frequencies
    site = abs(replace(NETWORK, kappa=np.zeros(2)).site)
    for response, resonance, gain in zip(site, NETWORK.resonance.ravel(), NETWORK.amplification.ravel(), strict=True):
        assert f[response[f < 2 * resonance].argmax()] == pytest.approx(resonance, abs=0.1)
        assert response.max() == pytest.approx(gain, rel=0.01)
        assert response[0] == 1


def test_mains_hum_is_narrow(generator):
    frequency, power = signal.welch(mains_hum(NETWORK, generator).sum(axis=0), SAMPLING_RATE, nperseg=1000)
    near = np.minimum(abs(frequency - 50), abs(frequency - 100)) <= 1
    assert power[near].sum() > 0.98 * power.sum()


@pytest.mark.parametrize("label", CLASSES)
def test_records_are_counts_of_one_shape(label, generator):
    waveform, snr = synthesize(label, generator)
    assert waveform.shape == (len(CHANNELS), N_SAMPLES) and waveform.dtype == np.float32
    assert np.isfinite(waveform).all() and (waveform.std(axis=1) > 0).all()
    np.testing.assert_array_equal(waveform, np.round(waveform))
    assert np.isnan(snr) == (label == "Noise")
