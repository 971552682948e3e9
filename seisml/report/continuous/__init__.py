"""Predictions of continuous records: what they have left, pictures of detections, false alarms."""
