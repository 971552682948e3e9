"""From probabilities of windows to events: detections, onsets, coincidence of stations, day plots."""
