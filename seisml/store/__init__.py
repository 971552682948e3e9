"""The on-disk format of a prepared data set."""
