"""ObsPy in, arrays out: reading, joining, processing, indexing and cutting waveforms."""
