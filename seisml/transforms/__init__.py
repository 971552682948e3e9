"""Batched tensor transforms: spectrograms, crops and augmentations."""

from seisml.transforms.amplitude import RandomAmplitudeJitter, ToTensor
from seisml.transforms.crops import NeighboringCrop, RandomCrop, neighboring_centers
from seisml.transforms.noise import GaussianNoise
from seisml.transforms.picture import Picture, WaveformPicture
from seisml.transforms.pipeline import Augmentations
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from seisml.transforms.stacking import stack_traces
from seisml.transforms.waveform import WaveformFrontEnd

__all__ = [
    "Augmentations",
    "GaussianNoise",
    "NeighboringCrop",
    "Picture",
    "RandomAmplitudeJitter",
    "RandomCrop",
    "SampleRandom",
    "SpectrogramFrontEnd",
    "ToTensor",
    "WaveformFrontEnd",
    "WaveformPicture",
    "neighboring_centers",
    "stack_traces",
]
