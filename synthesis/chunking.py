"""Chunks of frames for streaming: which frames to decode together, and how many of their neighbours as context.

    for chunk in plan_chunks(n_frames, context=12, sizes=ChunkSizes(first=16, most=256)):
        decode(z[:, :, chunk.low : chunk.high])      # and keep frames [chunk.start, chunk.end) of it
"""

from __future__ import annotations

from typing import NamedTuple


class ChunkSizes(NamedTuple):
    """Lengths of chunks in frames: a short one first, for a low latency, then each `growth` times as long."""

    first: int = 16
    most: int = 256
    growth: float = 2.0


DEFAULT_CHUNKS = ChunkSizes()
WHOLE = ChunkSizes(first=2**31, most=2**31)


class Chunk(NamedTuple):
    """Frames [start, end) to output, decoded from frames [low, high)."""

    start: int
    end: int
    low: int
    high: int


def plan_chunks(n_frames: int, context: int, sizes: ChunkSizes = DEFAULT_CHUNKS) -> list[Chunk]:
    """Cut `n_frames` into chunks that overlap by `context` frames on both sides.

    Raises:
        ValueError: sizes below one frame, or that shrink.
    """
    if sizes.first < 1 or sizes.most < sizes.first or sizes.growth < 1:
        raise ValueError(f"chunk sizes are {sizes}; expected 1 <= first <= most frames and a growth of 1 or more")
    chunks, start, length = [], 0, float(sizes.first)
    while start < n_frames:
        end = min(n_frames, start + int(length))
        chunks.append(Chunk(start, end, max(0, start - context), min(n_frames, end + context)))
        start, length = end, min(sizes.most, length * sizes.growth)
    return chunks
