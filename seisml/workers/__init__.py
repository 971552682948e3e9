"""Processes that work for this one and may die of it: what passes between them, and what a death costs."""
