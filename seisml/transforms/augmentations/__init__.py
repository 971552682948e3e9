"""What is done to samples at random while training: a class for each idea, found by its name.

A class in a file of this folder is known to the key ``augmentations`` by its name alone; one elsewhere goes by its
dotted path. Its type says where it works: on waveforms before the front end, or on the views behind it.
"""
