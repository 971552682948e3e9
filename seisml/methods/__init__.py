"""Training recipes, one LightningModule per file: classifiers and regressors here, other kinds in their folders."""
