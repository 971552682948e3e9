"""One run: train, build, checkpoints, folder, messages and the record it leaves."""
