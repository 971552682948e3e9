"""The embedded synthetic events."""
