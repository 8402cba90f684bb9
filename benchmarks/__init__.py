"""Benchmarks of speed and memory against other projects; each module is a command: `python -m benchmarks.NAME`."""
