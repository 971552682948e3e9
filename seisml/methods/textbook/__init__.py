"""Classifiers of pictures, as textbooks have them, and one that scikit-learn fits."""
