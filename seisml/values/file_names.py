"""Names of files that one part of seisml leaves and another looks for: the report, a run that goes on."""

from __future__ import annotations

import re

# a run
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"  # there once it is finished
LOG_FILE = "metrics.csv"  # that of Lightning's CSV logger
PREDICTIONS_FILE = "predictions.csv"
SPLIT_FILE = "split.csv"
FOLD = re.compile(r"fold\d+")  # folders of a cross-validation's runs

# a comparison
COMPARISON_FILE = "comparison.json"
RESULTS_FILE = "results.csv"
SUMMARY_FILE = "summary.csv"

# a prediction of continuous records
DETECTIONS_FILE = "detections.csv"
EVENTS_FILE = "events.csv"
PREDICTION_FILE = "prediction.json"
STATION_DAYS_FILE = "report.csv"
