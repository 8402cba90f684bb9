"""Audio without torch: files, sampling rate, loudness, pitch."""
