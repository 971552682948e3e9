"""LANL laboratory earthquakes: 629 million samples of acoustic emission and the time to the next failure."""
