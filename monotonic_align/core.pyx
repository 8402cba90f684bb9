# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The compiled alignment search: one item per thread, one byte of memory per cell of the largest item."""
# Shapes: B batch, L text tokens, T frames.

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset


cdef extern from "forward.h" nogil:
    void vits_forward(const float* scores, Py_ssize_t frame_stride, Py_ssize_t frames, Py_ssize_t tokens,
                      float* sums, uint8_t* advances)


cdef void trace_back(const uint8_t* advances, Py_ssize_t frames, Py_ssize_t tokens,
                     int64_t* durations) noexcept nogil:
    """Walk from (T - 1, L - 1) to (0, 0) and count the frames of each token."""
    cdef Py_ssize_t frame, token = tokens - 1
    for frame in range(frames - 1, 0, -1):
        durations[token] += 1
        token -= advances[frame * tokens + token]
    durations[0] += 1


def fill_durations(const float[:, :, :] scores, const int64_t[::1] text_lengths, const int64_t[::1] spec_lengths,
                   int64_t[:, ::1] durations, int num_threads):
    """Add the frames per token of every item's best path to `durations` [B, L], which comes in as zeros.

    Args:
        scores: [B, T, L] float32, dense along L.
        text_lengths, spec_lengths: [B] int64; the caller has seen to 1 <= text_lengths <= spec_lengths and to their
            fitting into the scores.
        num_threads: at least 1, at most B.
    """
    cdef Py_ssize_t batch = scores.shape[0], frames = scores.shape[1], tokens = scores.shape[2]
    cdef Py_ssize_t stride = scores.strides[1] // <Py_ssize_t>sizeof(float)
    cdef size_t table_bytes = <size_t>frames * tokens
    cdef size_t sums_floats = 2 * (<size_t>tokens + 1)
    cdef Py_ssize_t item
    cdef uint8_t* tables
    cdef float* sums
    if batch == 0:
        return
    if tokens > 1 and scores.strides[2] != sizeof(float):
        raise ValueError(f"monotonic_align.core: scores have a stride of {scores.strides[2]} bytes along the tokens; "
                         "expected 4, pass a contiguous array")
    # Allocated once a call, not once an item: fresh pages cost more than the search of a short item.
    tables = <uint8_t*>malloc(num_threads * table_bytes)
    sums = <float*>malloc(num_threads * sums_floats * sizeof(float))
    if tables == NULL or sums == NULL:
        free(tables)
        free(sums)
        raise MemoryError(f"monotonic_align.core: no memory for {num_threads} tables of {frames} x {tokens} bytes")
    for item in prange(batch, nogil=True, num_threads=num_threads, schedule="dynamic"):
        vits_forward(&scores[item, 0, 0], stride, spec_lengths[item], text_lengths[item],
                     sums + threadid() * sums_floats, tables + threadid() * table_bytes)
        trace_back(tables + threadid() * table_bytes, spec_lengths[item], text_lengths[item], &durations[item, 0])
    free(tables)
    free(sums)


def fill_path(const int64_t[:, ::1] durations, float[:, :, ::1] path, int num_threads):
    """Write the durations [B, L] of a search as zeros and ones to `path` [B, T, L], whatever was there before."""
    cdef Py_ssize_t frames = path.shape[1], tokens = path.shape[2], item, token, frame, end
    for item in prange(path.shape[0], nogil=True, num_threads=num_threads, schedule="dynamic"):
        memset(&path[item, 0, 0], 0, frames * tokens * sizeof(float))
        frame = 0
        for token in range(tokens):
            end = frame + durations[item, token]
            while frame < end:
                path[item, frame, token] = 1
                frame = frame + 1
