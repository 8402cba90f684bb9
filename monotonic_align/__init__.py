"""Monotonic alignment search: the path of largest sum through a [frames, tokens] score matrix (Glow-TTS, section 3.2).

    alignment = monotonic_align.search(scores, text_lengths, spec_lengths)
    alignment.path         # [B, T, L], 1 where frame t speaks token l
    alignment.durations    # [B, L], frames per token

A path starts at (0, 0), ends at (T - 1, L - 1), and from one frame to the next stays on its token or moves to the
following one; so every token of an item gets at least one frame. Three backends find the same path: `core` (Cython;
needs a C compiler when the project is installed) or `numba_kernel` on the host, `triton_kernel` on GPUs. Each finds
durations; the path is made of the durations, on the device of the scores.

Scores on a GPU stay there, and nothing waits for it: the call returns before the search is done. So lengths that lie on
a GPU are not checked; an item without a path gets durations, and a path, of zeros.
"""
# Shapes: B batch, L text tokens, T frames.

from __future__ import annotations

import importlib
import warnings
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Alignment", "durations", "maximum_path", "search"]

_FAULTS_SHOWN = 10


class Alignment(NamedTuple):
    """Which token each frame speaks, in two forms of the same thing."""

    path: Tensor  # [B, T, L], 0 or 1, in the dtype and on the device of the scores
    durations: Tensor  # [B, L] int64, frames per token; 0 beyond an item's text length


def search(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> Alignment:
    """Find the monotonic path of largest sum for every item of a batch.

    Args:
        scores: [B, T, L], what is gained if frame t speaks token l, e.g. a log-likelihood; any float dtype (the sums
            are float32), any device, any strides. What lies beyond the lengths is not read. NaN never raises: a
            comparison with it is false, and the path stays monotonic.
        text_lengths: [B], tokens of each item.
        spec_lengths: [B], frames of each item.

    Returns:
        Path and durations; no gradient. Of equal sums wins the path that, seen from the end, stays on its token.

    Raises:
        ValueError: the shapes do not fit, or an item has no token, fewer frames than tokens, or lengths that exceed
            the scores (if scores and lengths lie on a GPU, only the shapes are looked at).
    """
    frames_per_token = durations(scores, text_lengths, spec_lengths)
    path = _path_of(frames_per_token, scores.shape[1], scores.dtype)
    return Alignment(path, frames_per_token)


@torch.no_grad()
def durations(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> Tensor:
    """Find the frames per token of the best path, without building the path.

    Args, errors: as `search`.

    Returns:
        [B, L] int64 on the device of the scores; an item's durations add up to its `spec_lengths`.
    """
    _check_shapes(scores, text_lengths, spec_lengths)
    kernel = _gpu_backend() if scores.is_cuda else None
    if kernel is not None and kernel.supports(scores):
        if not (text_lengths.is_cuda or spec_lengths.is_cuda):
            _check_lengths(scores, text_lengths, spec_lengths)
        lengths = (each.to(scores.device, non_blocking=True) for each in (text_lengths, spec_lengths))
        return kernel.durations(scores, *lengths)
    return _durations_on_host(scores, text_lengths, spec_lengths)


def _durations_on_host(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> Tensor:
    """Search with the fastest backend for the host; scores may come from any device, and durations go back there."""
    text_lengths = text_lengths.detach().to("cpu", torch.int64).contiguous()
    spec_lengths = spec_lengths.detach().to("cpu", torch.int64).contiguous()
    _check_lengths(scores, text_lengths, spec_lengths)
    batch, _, tokens = scores.shape
    found = torch.zeros(batch, tokens, dtype=torch.int64)
    if batch > 0:
        host_scores = scores.detach().to("cpu", torch.float32)
        if host_scores.stride(2) != 1:
            host_scores = host_scores.contiguous()
        arrays = (host_scores.numpy(), text_lengths.numpy(), spec_lengths.numpy(), found.numpy())
        _host_backend().fill_durations(*arrays, _threads_for(batch))
    return found.to(scores.device)


def maximum_path(neg_cent: Tensor, mask: Tensor) -> Tensor:
    """Find the best path in the way that VITS published it.

    Args:
        neg_cent: [B, T, L], as the scores of `search`.
        mask: [B, T, L], nonzero in the first `spec_lengths` x `text_lengths` corner of each item and 0 elsewhere.

    Returns:
        [B, T, L], 0 or 1, dtype and device of `neg_cent`.

    Raises:
        ValueError: as `search`, or the shapes of the two differ.
    """
    if mask.shape != neg_cent.shape:
        raise ValueError(
            f"monotonic_align.maximum_path: mask is {list(mask.shape)}, neg_cent is {list(neg_cent.shape)}; expected "
            "both to be [B, T, L], frames before tokens")
    # Counted as integers: a float16 sum is exact only up to 2048.
    spec_lengths = mask[:, :, :1].ne(0).sum(dim=(1, 2))  # [B, T, 1] -> [B]
    text_lengths = mask[:, :1, :].ne(0).sum(dim=(1, 2))  # [B, 1, L] -> [B]
    return search(neg_cent, text_lengths, spec_lengths).path


@torch.no_grad()
def _path_of(frames_per_token: Tensor, frames: int, dtype: torch.dtype) -> Tensor:
    """Expand durations [B, L] to a path [B, T, L] of zeros and ones."""
    batch, tokens = frames_per_token.shape
    on_host = frames_per_token.device.type == "cpu" and dtype == torch.float32 and batch > 0
    if on_host and hasattr(_host_backend(), "fill_path"):  # the compiled backend has it, and writes each cell once
        path = torch.empty(batch, frames, tokens)
        _host_backend().fill_path(frames_per_token.numpy(), path.numpy(), _threads_for(batch))
        return path
    path = torch.zeros(batch, frames, tokens, dtype=dtype, device=frames_per_token.device)
    if path.numel() == 0:
        return path
    ends = frames_per_token.cumsum(dim=1)  # [B, L], the frame after a token's last
    frame = torch.arange(frames, device=path.device).expand(batch, frames).contiguous()
    token = torch.searchsorted(ends, frame, right=True)  # [B, T]; L for frames beyond the item
    spoken = (token < tokens).to(dtype)
    return path.scatter_(2, token.clamp_(max=tokens - 1).unsqueeze(2), spoken.unsqueeze(2))


def _threads_for(batch: int) -> int:
    return max(1, min(torch.get_num_threads(), batch))


def _check_shapes(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> None:
    if scores.dim() != 3:
        raise ValueError(f"monotonic_align: scores are {list(scores.shape)}; expected [B, T, L], frames before tokens")
    for name, lengths in (("text_lengths", text_lengths), ("spec_lengths", spec_lengths)):
        if lengths.shape != scores.shape[:1]:
            raise ValueError(
                f"monotonic_align: {name} is {list(lengths.shape)}, scores are {list(scores.shape)}; expected one "
                f"length per item, [{scores.shape[0]}]")


def _check_lengths(scores: Tensor, text_lengths: Tensor, spec_lengths: Tensor) -> None:
    """Raise one error that names every item without a path."""
    batch, max_frames, max_tokens = scores.shape
    bad = (text_lengths < 1) | (spec_lengths < text_lengths)
    bad |= (text_lengths > max_tokens) | (spec_lengths > max_frames)
    items = bad.nonzero().flatten().tolist()
    if not items:
        return
    faults = []
    for item in items[:_FAULTS_SHOWN]:
        frames, tokens = int(spec_lengths[item]), int(text_lengths[item])
        beyond = tokens > max_tokens or frames > max_frames
        where = f", beyond its scores [{max_frames}, {max_tokens}]" if beyond else ""
        faults.append(f"item {item} has {frames} frames for {tokens} tokens{where}")
    if len(items) > _FAULTS_SHOWN:
        faults.append(f"and {len(items) - _FAULTS_SHOWN} more")
    raise ValueError(
        f"monotonic_align: {len(items)} of {batch} items cannot be aligned: {'; '.join(faults)}. Expected at least one "
        "token and one frame per token; leave clips that are too short for their text out of the filelist (preparing "
        "the data does so), or use a smaller hop_length")


@lru_cache(maxsize=1)
def _gpu_backend() -> ModuleType | None:
    """Import the backend for GPUs; warn, once, if Triton is not there."""
    try:
        return importlib.import_module("monotonic_align.triton_kernel")
    except ImportError as error:
        warnings.warn(
            f"monotonic_align: no Triton ({error}); scores travel from the GPU to the host to be searched, with the "
            "same results, and every step waits for it. `pip install triton` helps where it is published.",
            RuntimeWarning, stacklevel=4)
        return None


@lru_cache(maxsize=1)
def _host_backend() -> ModuleType:
    """Import the fastest backend that works here; warn, once, if that is not the compiled one."""
    try:
        return importlib.import_module("monotonic_align.core")
    except ImportError as error:
        missing = f"monotonic_align: the compiled search is not available ({error})"
    cure = "With a C compiler, `pip install -e .` or `python setup.py build_ext --inplace` builds it."
    backend = importlib.import_module("monotonic_align.numba_kernel")
    if backend.njit is None:
        missing += (", nor is numba; Python takes its place, with the same results, hundreds of times slower. "
                    "`pip install numba` helps.")
    else:
        missing += "; numba takes its place, with the same results and a few seconds of start-up."
    warnings.warn(f"{missing} {cure}", RuntimeWarning, stacklevel=4)
    return backend
