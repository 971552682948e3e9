"""Figures of a run: data in, matplotlib Figure out, no pyplot and no global state."""

from seisml.evaluation.figures.classification import confusion_matrix, embedding_map
from seisml.evaluation.figures.comparison import accuracy_bars
from seisml.evaluation.figures.curves import loss_curves
from seisml.evaluation.figures.errors import error_rows, false_predictions
from seisml.evaluation.figures.gallery import gallery, gallery_rows
from seisml.evaluation.figures.probabilities import calibration_curve, precision_recall
from seisml.evaluation.figures.regression import course, courses, residuals
from seisml.evaluation.figures.style import save
from seisml.evaluation.figures.transfer import difference_map, label_curves

__all__ = [
    "accuracy_bars",
    "calibration_curve",
    "confusion_matrix",
    "course",
    "courses",
    "difference_map",
    "embedding_map",
    "error_rows",
    "false_predictions",
    "gallery",
    "gallery_rows",
    "label_curves",
    "loss_curves",
    "precision_recall",
    "residuals",
    "save",
]
