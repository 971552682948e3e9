"""Events, picks, stations and what connects them with waveforms."""
