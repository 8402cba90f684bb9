"""The training loop, its steps, checkpoints, callbacks and trackers."""
