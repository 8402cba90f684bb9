"""Tensor helpers of VITS: masks, paths, slices of segments, and the choice of device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

# Shapes: B batch, L text tokens, T frames, S samples, C channels.


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ValueError: this machine or this torch has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    kind = name.split(":")[0]
    if not available.get(kind, False):
        usable = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise ValueError(f"device {name!r} is not available here; usable: {usable}, or auto")
    return torch.device(name)


@contextlib.contextmanager
def uninitialised() -> Iterator[None]:
    """Build networks without initialising them: for those whose weights are loaded next.

    Drawing 36 million random numbers takes a tenth of a second, which is audible as latency.
    """
    names = [name for name in vars(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    drawn = {name: getattr(torch.nn.init, name) for name in names}
    try:
        for name in names:
            setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, function in drawn.items():
            setattr(torch.nn.init, name, function)


def sequence_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """True where a position lies within its item: lengths [B] -> [B, max_length], the longest if not given."""
    if max_length is None:
        max_length = int(lengths.max())
    positions = torch.arange(max_length, device=lengths.device, dtype=lengths.dtype)
    return positions[None, :] < lengths[:, None]


def token_of_frame(durations: Tensor, frames: int) -> Tensor:
    """Which token each frame belongs to: durations [B, L] in frames -> [B, frames]; the last token past the end."""
    ends = durations.cumsum(dim=1)  # [B, L]
    positions = torch.arange(frames, device=durations.device, dtype=ends.dtype).expand(ends.shape[0], -1)
    return torch.searchsorted(ends, positions.contiguous(), right=True).clamp(max=durations.shape[1] - 1)


def expand_tokens(values: Tensor, durations: Tensor, frames: int) -> Tensor:
    """Repeat each token's column for its frames: [B, C, L], durations [B, L] -> [B, C, frames]; zero past the end."""
    index = token_of_frame(durations, frames)  # [B, T]
    mask = sequence_mask(durations.sum(dim=1), frames)  # [B, T]
    expanded = values.gather(2, index[:, None, :].expand(-1, values.shape[1], -1))
    return expanded * mask[:, None, :].to(values.dtype)


def path_from_durations(durations: Tensor, frames: int) -> Tensor:
    """The alignment as zeros and ones: durations [B, L] -> [B, frames, L]."""
    path = torch.nn.functional.one_hot(token_of_frame(durations, frames), durations.shape[1])
    return (path * sequence_mask(durations.sum(dim=1), frames)[:, :, None]).float()


def random_segment_starts(lengths: Tensor, segment: int) -> Tensor:
    """A uniformly drawn start for one segment of each item: lengths [B] -> [B]; 0 where the item is shorter."""
    room = (lengths - segment + 1).clamp(min=1)
    draws = torch.rand(lengths.shape[0], device=lengths.device)
    return (draws * room).to(torch.int64).minimum(room - 1)


def slice_segments(values: Tensor, starts: Tensor, segment: int) -> Tensor:
    """Cut one segment out of each item: [B, C, T], starts [B] -> [B, C, segment].

    Raises:
        ValueError: the batch is shorter than a segment.
    """
    if values.shape[2] < segment:
        raise ValueError(f"cannot slice {segment} steps out of {values.shape[2]}; pad the batch to a segment first")
    index = starts[:, None] + torch.arange(segment, device=values.device)  # [B, segment]
    return values.gather(2, index[:, None, :].expand(-1, values.shape[1], -1))
