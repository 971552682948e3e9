"""Recipes that scikit-learn fits at once: features of every window, and trees on them."""
