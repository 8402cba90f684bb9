"""Speed and memory, measured beside peers; each module is a command: `python -m benchmarks.NAME`."""
