"""Triggered tremor: data module, HDF5 file and prepare step."""
