"""Batched tensor transforms: spectrograms, crops and augmentations."""

from seisml.transforms.augmentations.amplitude_jitter import RandomAmplitudeJitter
from seisml.transforms.augmentations.base import ViewAugmentation, WaveformAugmentation
from seisml.transforms.augmentations.crops import (
    NeighboringCrop,
    RandomCrop,
    ResizedCrop,
    neighboring_centers,
)
from seisml.transforms.picture import Picture, WaveformPicture
from seisml.transforms.pipeline import Augmentations
from seisml.transforms.randomness import SampleRandom
from seisml.transforms.spectrogram import SpectrogramFrontEnd
from seisml.transforms.stacking import stack_traces
from seisml.transforms.views import Crop, View
from seisml.transforms.waveform import WaveformFrontEnd

__all__ = [
    "Augmentations",
    "Crop",
    "NeighboringCrop",
    "Picture",
    "RandomAmplitudeJitter",
    "RandomCrop",
    "ResizedCrop",
    "SampleRandom",
    "SpectrogramFrontEnd",
    "View",
    "ViewAugmentation",
    "WaveformAugmentation",
    "WaveformFrontEnd",
    "WaveformPicture",
    "neighboring_centers",
    "stack_traces",
]
