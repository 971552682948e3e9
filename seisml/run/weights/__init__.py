"""Which weights a run ends with: averages over its steps, and those that were best on the dev part."""
