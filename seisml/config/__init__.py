"""Composing and checking configurations: YAML in, one checked mapping out."""
