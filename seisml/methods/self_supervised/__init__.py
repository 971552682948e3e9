"""Pretraining without labels: two views pulled together, the next piece of a record, what was hidden of a picture."""
