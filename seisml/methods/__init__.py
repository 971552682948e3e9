"""Training recipes, one LightningModule per file."""
