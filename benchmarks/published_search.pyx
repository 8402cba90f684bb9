# cython: language_level=3, boundscheck=False, wraparound=False
"""The search of the published VITS, rebuilt for comparison: sums in place, a dense int32 path.

`alignment.py` compiles it with Python's own flags, as the published one is: without OpenMP, so that `prange` is serial.
"""
# Shapes: B batch, L text tokens, T frames.

from cython.parallel cimport prange


cdef void search_item(int[:, ::1] path, float[:, ::1] sums, int frames, int tokens) noexcept nogil:
    """Turn the scores [T, L] into sums, then walk back and mark the path [T, L]."""
    cdef int frame, token, here = tokens - 1
    cdef float stayed, advanced
    for frame in range(frames):
        for token in range(max(0, tokens + frame - frames), min(tokens, frame + 1)):
            stayed = -1e9 if token == frame else sums[frame - 1, token]
            if token > 0:
                advanced = sums[frame - 1, token - 1]
            else:
                advanced = 0. if frame == 0 else -1e9
            sums[frame, token] += max(advanced, stayed)
    for frame in range(frames - 1, -1, -1):
        path[frame, here] = 1
        if here != 0 and (here == frame or sums[frame - 1, here] < sums[frame - 1, here - 1]):
            here -= 1


def search_batch(int[:, :, ::1] paths, float[:, :, ::1] sums, int[::1] frames, int[::1] tokens):
    """Fill `paths` [B, T, L], which come in as zeros, from the scores in `sums`, which are spent."""
    cdef int item
    for item in prange(paths.shape[0], nogil=True):
        search_item(paths[item], sums[item], frames[item], tokens[item])
