"""Recipes that learn without labels by telling what was hidden of a picture."""
