"""Starting the processes that train one model, and knowing those that a launcher has started."""
