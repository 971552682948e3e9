"""Networks: encoders, projector, normalisation."""
