"""The noise that a synthesis hears: a function of strategy and seed, the same in any batch, chunk and on any device.

    noise = prior_noise("truncated", seeds=[1, 2], channels=192, lengths=[310, 275])    # [2, 192, 310]
    z_p = mean + noise.to(mean) * torch.exp(logstd) * noise_scale

Each item is drawn by itself, on the CPU, in float32, one frame after the other, by `noise.py`: batch and padding do not
reach it, and a shorter draw is the beginning of a longer one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from noise import (  # noqa: F401 -- the whole subject is to be had here
    SEED_LIMIT,
    SPEAKERS,
    STRATEGIES,
    TRUNCATION,
    Strategy,
    best_of,
    candidate_seed,
    checked_seed,
    duration_draw,
    prior_draw,
    random_stream,
)

# Shapes: B batch, L text tokens, T frames, C latent channels.


def prior_noise(strategy: str, seeds: Sequence[int], channels: int, lengths: Sequence[int],
                truncation: float = TRUNCATION) -> Tensor:
    """What the prior's standard deviation is multiplied by; the temperature (noise_scale) is the caller's.

    Args:
        strategy: a name in `STRATEGIES`.
        seeds: one for each item; an item depends on its own seed alone.
        channels: latent channels.
        lengths: frames of each item.
        truncation: of "truncated", in standard deviations.

    Returns:
        [B, C, T] float32 on the CPU, T the greatest length; zeros beyond each item's own.

    Raises:
        ValueError: an unknown strategy, a bad truncation, a seed out of range, or not as many seeds as lengths.
    """
    _check_lengths(seeds, lengths)
    return _batch([prior_draw(strategy, seed, channels, length, truncation) for seed, length in zip(seeds, lengths)])


def duration_noise(seeds: Sequence[int], n_tokens: Sequence[int], strategy: str = "prior") -> Tensor:
    """What the stochastic duration predictor starts from: [B, 2, L] float32 on the CPU, zeros beyond each item's own.

    Standard normal under every strategy, since strategies are about the prior; pairs of "antithetic" share it.

    Raises:
        ValueError: as `prior_noise`.
    """
    _check_lengths(seeds, n_tokens)
    return _batch([duration_draw(seed, n, strategy) for seed, n in zip(seeds, n_tokens)])


def _check_lengths(seeds: Sequence[int], lengths: Sequence[int]) -> None:
    if len(seeds) != len(lengths):
        raise ValueError(f"found {len(seeds)} seeds for {len(lengths)} items; expected one for each")


def _batch(drawn: Sequence[np.ndarray]) -> Tensor:
    """Items [length, channels], padded: [B, channels, greatest length]."""
    items = [torch.from_numpy(each) for each in drawn]
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True).mT.contiguous()
