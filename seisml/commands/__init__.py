"""Commands of ``seisml`` that compose whole runs."""
