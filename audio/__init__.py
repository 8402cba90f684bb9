"""Sound in and out of files: formats, sampling rate, loudness, pitch. No torch."""
