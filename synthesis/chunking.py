"""Chunks of frames for streaming: which frames to decode together, and how many of their neighbours as context.

    for chunk in plan_chunks(n_frames, context=12, sizes=ChunkSizes(first=16, most=256)):
        decode(z[:, :, chunk.low : chunk.high])      # and keep frames [chunk.start, chunk.end) of it

    voice.stream(text, chunks=calibrated_chunks(voice))                   # as fast as this machine allows
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from synthesis.base import BaseVoice


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


def calibrated_chunks(voice: BaseVoice, load: float = 0.5, most_seconds: float = 0.25) -> ChunkSizes:
    """Chunk sizes for this voice on this machine, measured on two seconds or so of sound.

    The first chunk is as short as can be for the second to be ready in time, and each later one as long as can be.

    Args:
        voice: a fresh or warm voice; the measurement warms it up.
        load: part of the playing time that computing may take; the rest is left for other work.
        most_seconds: the longest time for which a chunk may occupy the machine.
    """
    seconds_of_frame = voice.config.data.hop_length / voice.sample_rate
    times = [_seconds_of_chunk(voice, n_frames) for n_frames in _MEASURED]
    if None in times:  # this voice decodes a sentence whole
        return WHOLE
    per_frame = max(1e-9, (times[1] - times[0]) / (_MEASURED[1] - _MEASURED[0]))
    per_chunk = max(0.0, times[0] - per_frame * _MEASURED[0])  # calls, and frames decoded twice
    return _sizes_for(per_chunk / seconds_of_frame / load, per_frame / seconds_of_frame / load,
                      most_frames=max(1, int((most_seconds - per_chunk) / per_frame)))


_MEASURED = (16, 96)  # frames of a chunk
_LEAST, _MOST = 8, 1024  # frames of a first and of any chunk


def _sizes_for(per_chunk: float, per_frame: float, most_frames: int) -> ChunkSizes:
    """Sizes for a cost of `per_chunk` and, for each frame, `per_frame`, in frames of the playing time allowed.

    A chunk of n frames gives the time for the next, growth * n frames, if per_chunk + growth * n * per_frame <= n.
    """
    if per_frame >= 0.9:  # no sizes keep ahead
        return DEFAULT_CHUNKS
    per_chunk += 1  # lengths are cut to whole frames
    first = max(_LEAST, math.ceil(2 * per_chunk / (1 - per_frame)))  # twice the shortest, so that chunks can grow
    growth = (first - per_chunk) / (first * per_frame)
    return ChunkSizes(first, max(first, min(_MOST, most_frames)), min(4.0, growth))


def _seconds_of_chunk(voice: BaseVoice, n_frames: int) -> float | None:
    """Shortest time of a chunk in the midst of others, as other work only adds to it; None if there are no chunks."""
    stream = voice.stream_ids([0], chunks=ChunkSizes(n_frames, n_frames), durations=[6 * n_frames], seed=0, speed=1.0)
    times, start = [], time.perf_counter()
    for _ in stream:
        now = time.perf_counter()
        times.append(now - start)
        start = now
    return min(times[1:-1]) if len(times) > 2 else None
