"""One run: train, build, checkpoints, callbacks, folder, messages and the record it leaves."""
