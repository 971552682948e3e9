"""Metrics, probes, collapse monitors and figures."""
