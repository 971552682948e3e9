"""What looks on while a run trains, and says how it goes."""
