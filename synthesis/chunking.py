"""Where a sound is cut that is made piece by piece, whatever makes it: each piece with what it hears of its neighbours.

    for piece in plan(n_frames, context=12, pieces=Pieces(first=16, most=256)):
        decode(z[:, :, piece.low : piece.high])      # and keep frames [piece.start, piece.end) of it
"""

from __future__ import annotations

from typing import NamedTuple


class Pieces(NamedTuple):
    """How long the pieces are, in frames: a short one first, so that something sounds soon, then ever longer ones."""

    first: int = 16
    most: int = 256
    growth: float = 2.0


PIECES = Pieces()
WHOLE = Pieces(first=2**31, most=2**31)


class Piece(NamedTuple):
    """Frames [start, end) to say, decoded from frames [low, high)."""

    start: int
    end: int
    low: int
    high: int


def plan(n_frames: int, context: int, pieces: Pieces = PIECES) -> list[Piece]:
    """Cut `n_frames` into pieces that overlap by `context` frames on both sides.

    Raises:
        ValueError: pieces of less than a frame, or that shrink.
    """
    if pieces.first < 1 or pieces.most < pieces.first or pieces.growth < 1:
        raise ValueError(f"{pieces} cannot be: expected 1 <= first <= most frames and a growth of 1 or more")
    planned, start, length = [], 0, float(pieces.first)
    while start < n_frames:
        end = min(n_frames, start + int(length))
        planned.append(Piece(start, end, max(0, start - context), min(n_frames, end + context)))
        start, length = end, min(pieces.most, length * pieces.growth)
    return planned
