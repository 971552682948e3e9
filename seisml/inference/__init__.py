"""Continuous records: streams -> class probabilities -> detections."""
