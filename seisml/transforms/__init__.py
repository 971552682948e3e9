"""Batched tensor transforms: spectrograms, crops and augmentations."""
