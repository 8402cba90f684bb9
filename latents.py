"""The noise that a synthesis hears: a function of strategy and seed, the same in any batch, chunk and on any device.

    noise = prior_noise("truncated", seeds=[1, 2], channels=192, lengths=[310, 275])    # [2, 192, 310]
    z_p = mean + noise.to(mean) * torch.exp(logstd) * noise_scale

Each item is drawn by itself, on the CPU, in float32, one frame after the other: batch and padding do not reach it, and
a shorter draw is the beginning of a longer one. A voice changes its sampling by `STRATEGIES`; `best_of` chooses among
whole results.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from commons import Registry

# Shapes: B batch, L text tokens, T frames, C latent channels.

Result = TypeVar("Result")

# Streams of one seed, so that its rhythm, its sound and its speaker have nothing to do with each other.
PRIOR, DURATIONS, CANDIDATES, SPEAKERS = range(4)

SEED_LIMIT = 2**63
TRUNCATION = 2.0  # standard deviations; 95 % of a normal distribution lie within


class Strategy:
    """Standard normal noise as it is drawn; the others change what they must.

    Args:
        truncation: the largest noise, in standard deviations, for strategies that have one.
    """

    def __init__(self, truncation: float):
        self.truncation = truncation

    def drawn_seed(self, seed: int) -> int:
        """The seed whose draws `seed` gets."""
        return seed

    def shape(self, drawn: Tensor, seed: int) -> Tensor:
        """Standard normal draws of `drawn_seed(seed)` -> the prior's noise, of the same shape."""
        return drawn


STRATEGIES: Registry[Strategy] = Registry("sampling strategy")
"""Builders `(truncation: float) -> Strategy`."""

STRATEGIES.register("prior")(Strategy)


@STRATEGIES.register("mode")
class Mode(Strategy):
    """No noise: the prior's most likely latents, whatever the seed."""

    def shape(self, drawn: Tensor, seed: int) -> Tensor:
        """Zeros."""
        return torch.zeros_like(drawn)


@STRATEGIES.register("truncated")
class Truncated(Strategy):
    """The normal distribution cut off at plus and minus `truncation`, by its inverse distribution function.

    A seed's truncated noise is its "prior" noise pressed between the bounds: each value keeps its rank. Its standard
    deviation is below 1 (0.880 for bounds of 2), and is not made up for.
    """

    def __init__(self, truncation: float):
        if not truncation > 0:
            raise ValueError(f"truncation is {truncation}; it must be above 0, in standard deviations")
        super().__init__(truncation)

    def shape(self, drawn: Tensor, seed: int) -> Tensor:
        """Each draw's place between the tails, read back as a place between the bounds."""
        place = torch.erf(drawn.double() / math.sqrt(2))  # -1 to 1: twice the normal distribution function, less 1
        pressed = math.sqrt(2) * torch.erfinv(place * math.erf(self.truncation / math.sqrt(2)))
        return pressed.clamp(-self.truncation, self.truncation).to(drawn.dtype)  # rounding may cross the bounds


@STRATEGIES.register("antithetic")
class Antithetic(Strategy):
    """Pairs of seeds, 2k and 2k + 1, that hear the same durations' noise, and the same prior noise of opposite sign.

    An even seed sounds as it does by "prior". The halves of a pair are equally long, and over a pair the noise's mean
    is exactly zero: an average over both needs fewer sentences than one over independent seeds.
    """

    def drawn_seed(self, seed: int) -> int:
        """The pair's even one."""
        return seed - seed % 2

    def shape(self, drawn: Tensor, seed: int) -> Tensor:
        """Mirrored for odd seeds."""
        return -drawn if seed % 2 else drawn


def checked_seed(seed: int) -> int:
    """A seed as Python's int.

    Raises:
        ValueError: it is no whole number from 0 to 2**63 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < SEED_LIMIT:
        raise ValueError(f"seed is {seed!r}; expected a whole number from 0 to 2**63 - 1")
    return number


def random_stream(seed: int, stream: int) -> np.random.Generator:
    """NumPy's generator of one stream of a seed.

    Philox, because seed and stream together are its key: no two of them share their draws. torch's own generator on
    CPUs would take only 32 bits of a seed, and what its randn begins with depends on how much is drawn.
    """
    key = np.array([checked_seed(seed), stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


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
    chosen = STRATEGIES.get(strategy)(truncation)
    return _batch(chosen.drawn_seed, chosen.shape, PRIOR, seeds, [(length, channels) for length in lengths])


def duration_noise(seeds: Sequence[int], n_tokens: Sequence[int], strategy: str = "prior") -> Tensor:
    """What the stochastic duration predictor starts from: [B, 2, L] float32 on the CPU, zeros beyond each item's own.

    Standard normal under every strategy, since strategies are about the prior; pairs of "antithetic" share it.

    Raises:
        ValueError: as `prior_noise`.
    """
    chosen = STRATEGIES.get(strategy)(TRUNCATION)
    return _batch(chosen.drawn_seed, lambda drawn, seed: drawn, DURATIONS, seeds, [(n, 2) for n in n_tokens])


def _batch(drawn_seed: Callable[[int], int], shape: Callable[[Tensor, int], Tensor], stream: int,
           seeds: Sequence[int], sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Draw items of (length, channels), shape them, and pad them: [B, channels, greatest length]."""
    if len(seeds) != len(sizes):
        raise ValueError(f"found {len(seeds)} seeds for {len(sizes)} items; expected one for each")
    items = []
    for seed, size in zip(map(checked_seed, seeds), sizes):
        drawn = random_stream(drawn_seed(seed), stream).standard_normal(size, dtype=np.float32)
        items.append(shape(torch.from_numpy(drawn), seed))  # [T, C]: time first, so that a length only cuts
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True).mT.contiguous()


def candidate_seed(seed: int, index: int) -> int:
    """The seed of the candidate of that number; candidate 0 is what the seed itself says."""
    if index == 0:
        return checked_seed(seed)
    return int(random_stream(seed, CANDIDATES).integers(SEED_LIMIT, size=index, dtype=np.uint64)[-1])


def best_of(n: int, seed: int, make: Callable[[int], Result], score: Callable[[Result], float]) -> Result:
    """Make n candidates and keep the one of the highest score, the first among equals; NaN counts as the lowest.

    The candidates of a smaller n are the first ones of a larger n, so more of them never score less.

    Args:
        n: how many, at least 1; 1 is what `seed` says by itself, and is not scored.
        seed: what the candidates' seeds come from.
        make: builds a candidate from its seed.
        score: says how good it is, e.g. `rescoring.reading_score` of its sound.

    Raises:
        ValueError: n is below 1, or the seed out of range.
    """
    if n < 1:
        raise ValueError(f"best of {n}: expected 1 candidate or more")
    best = make(candidate_seed(seed, 0))
    if n == 1:
        return best
    best_score = _lowest_if_nan(score(best))
    for index in range(1, n):
        candidate = make(candidate_seed(seed, index))
        candidate_score = _lowest_if_nan(score(candidate))
        if candidate_score > best_score:
            best, best_score = candidate, candidate_score
    return best


def _lowest_if_nan(score: float) -> float:
    return -math.inf if math.isnan(score) else score
