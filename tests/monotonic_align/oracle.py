"""The alignment search in NumPy, a frame at a time, for the tests to compare with."""
# Shapes: B batch, L text tokens, T frames.

from __future__ import annotations

import numpy as np


def fill_durations(scores: np.ndarray, text_lengths: np.ndarray, spec_lengths: np.ndarray, durations: np.ndarray,
                   num_threads: int) -> None:
    """Add the frames per token of every item's best path to `durations` [B, L]; arguments as `core.fill_durations`.

    `num_threads` is that of the other backends: this one always takes one.
    """
    for item, (frames, tokens) in enumerate(zip(spec_lengths, text_lengths, strict=True)):
        token_of_frame = _best_path(scores[item, :frames, :tokens])
        durations[item, :tokens] += np.bincount(token_of_frame, minlength=tokens)


def _best_path(scores: np.ndarray) -> np.ndarray:
    """Find the token of each frame: scores [T, L] -> [T]."""
    frames, tokens = scores.shape
    sums = np.full(tokens, -np.inf, np.float32)  # best sum of a path from (0, 0) to each token of the last frame
    sums[0] = scores[0, 0]
    advances = np.zeros((frames, tokens), bool)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are allowed
        for frame in range(1, frames):
            advances[frame, 1:] = sums[1:] < sums[:-1]
            if frame < tokens:
                advances[frame, frame] = True  # the only way to be there
            came_from = np.where(advances[frame], np.roll(sums, 1), sums)
            sums = scores[frame] + came_from

    path = np.empty(frames, np.int64)
    token = tokens - 1
    for frame in range(frames - 1, -1, -1):
        path[frame] = token
        token -= int(advances[frame, token])
    return path
