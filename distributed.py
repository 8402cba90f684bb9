"""Rank and world of this process: right for one process and for many.

One process never initialises torch.distributed; the values come from torchrun's environment alone. The collectives of
multi-process training (wrap, reduce, barrier) join this room together with that training.
"""

from __future__ import annotations

import os


def rank() -> int:
    """Global rank of this process, 0 when it is alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes in the job, 1 when this one is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes files and talks to the user."""
    return rank() == 0
