"""What the processes that train one model together tell each other."""
