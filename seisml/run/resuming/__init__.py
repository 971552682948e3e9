"""Going on with runs that were interrupted."""
