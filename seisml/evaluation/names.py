"""What metrics are called in tables for people."""

from __future__ import annotations

CLASSIFICATION = {
    "acc": "accuracy",
    "balanced_acc": "balanced accuracy (mean recall)",
    "f1_macro": "macro F1",
    "ece": "expected calibration error",
}
REGRESSION = {
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "bias": "mean of predicted - true",
    "r2": "share of the variance explained",
}
