"""Waveform data sets: the store, its data modules and the steps that prepare them."""
