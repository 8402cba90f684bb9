"""The alignment search for machines without the compiled one: compiled by numba while it runs, or not compiled at all.

Without numba the same lines run in Python, hundreds of times slower, with the same results. Nothing is cached on the
disk: a cache would lie beside the sources, which may be read-only or shared by machines with other processors, and
compiling takes about a second.
"""
# Shapes: B batch, L text tokens, T frames.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

try:
    from numba import njit
except ImportError:
    njit = None


def _fill_item(scores, frames, tokens, durations):
    """Add the best path of one item, scores [T, L], to durations [L]."""
    advances = np.empty((frames, tokens), np.uint8)
    last = np.empty(tokens, np.float32)
    current = np.empty(tokens, np.float32)
    last[0] = scores[0, 0]
    for frame in range(1, frames):
        first = max(0, tokens - frames + frame)
        end = min(frame, tokens)
        if first == 0:
            current[0] = scores[frame, 0] + last[0]
            advances[frame, 0] = 0
        for token in range(max(first, 1), end):
            is_less = last[token] < last[token - 1]
            current[token] = scores[frame, token] + (last[token - 1] if is_less else last[token])
            advances[frame, token] = is_less
        if frame < tokens:
            current[frame] = scores[frame, frame] + last[frame - 1]
            advances[frame, frame] = 1
        last, current = current, last
    token = tokens - 1
    for frame in range(frames - 1, 0, -1):
        durations[token] += 1
        token -= advances[frame, token]
    durations[0] += 1


if njit is not None:
    _fill_item = njit(nogil=True)(_fill_item)


def fill_durations(scores: np.ndarray, text_lengths: np.ndarray, spec_lengths: np.ndarray, durations: np.ndarray,
                   num_threads: int) -> None:
    """Add the frames per token of every item's best path to `durations` [B, L]; arguments as `core.fill_durations`."""

    def fill_share(first: int) -> None:
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are allowed
            for item in range(first, len(scores), num_threads):
                _fill_item(scores[item], spec_lengths[item], text_lengths[item], durations[item])

    if num_threads == 1:
        fill_share(0)
        return
    # Python's threads rather than numba's: numba's simplest pool aborts the process if two threads call it at once.
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(fill_share, range(num_threads)))
