"""ObsPy in, arrays out: reading, joining, preprocessing, indexing and cutting waveforms."""
