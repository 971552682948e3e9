"""Which weights a run keeps: averages over its steps, those that were best on the dev part, encoders on its way."""
