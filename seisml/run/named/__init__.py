"""Encoders that go by a name: where they lie, the file they are, and the card that comes with it."""
