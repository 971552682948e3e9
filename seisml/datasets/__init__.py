"""A file or folder for each data set: its data module and its prepare step."""
