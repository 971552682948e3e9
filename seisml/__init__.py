"""seisml: seismic signal classification with and without labels, driven by YAML experiments."""

__version__ = "0.1.0"
