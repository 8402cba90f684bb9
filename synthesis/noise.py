"""Seeded noise of synthesis: a function of strategy and seed, drawn by NumPy, the same for torch and ONNX voices.

    drawn = prior_draw("truncated", seed=1, channels=192, length=310)    # float32 [310, 192]

A shorter draw is the beginning of a longer one. `STRATEGIES` are ways to draw; `best_of` chooses among whole results.
`prior_noise` and `duration_noise` make tensors of the draws of a batch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from utils import Registry

if TYPE_CHECKING:
    from torch import Tensor

# Shapes: L text tokens, T frames, C latent channels.

Result = TypeVar("Result")

# Independent streams of one seed.
PRIOR, DURATIONS, CANDIDATES, SPEAKERS = range(4)

SEED_LIMIT = 2**63
TRUNCATION = 2.0  # standard deviations; 95 % of a normal distribution lie within


class Strategy:
    """Standard normal noise, unchanged; the base class of the other strategies.

    Args:
        truncation: the largest noise, in standard deviations, for strategies that have one.
    """

    def __init__(self, truncation: float):
        self.truncation = truncation

    def drawn_seed(self, seed: int) -> int:
        """The seed that is drawn from for `seed`."""
        return seed

    def transform(self, drawn: np.ndarray, seed: int) -> np.ndarray:
        """Standard normal draws of `drawn_seed(seed)` -> the prior's noise, of the same shape."""
        return drawn


STRATEGIES: Registry[Strategy] = Registry("sampling strategy")
"""Builders `(truncation: float) -> Strategy`."""

STRATEGIES.register("prior")(Strategy)


@STRATEGIES.register("mode")
class Mode(Strategy):
    """No noise: the prior's most likely latents, whatever the seed."""

    def transform(self, drawn: np.ndarray, seed: int) -> np.ndarray:
        """Zeros."""
        return np.zeros_like(drawn)


@STRATEGIES.register("truncated")
class Truncated(Strategy):
    """The normal distribution cut off at plus and minus `truncation`, by its inverse distribution function.

    A seed's truncated noise is its "prior" noise mapped between the bounds: each value keeps its rank. Its standard
    deviation is below 1 (0.880 for bounds of 2), which is not compensated.
    """

    def __init__(self, truncation: float):
        if not truncation > 0:
            raise ValueError(f"truncation is {truncation}; it must be above 0, in standard deviations")
        super().__init__(truncation)

    def transform(self, drawn: np.ndarray, seed: int) -> np.ndarray:
        """Each draw's quantile of the normal distribution -> the same quantile of the truncated one."""
        from statistics import NormalDist

        inside, outside = (f(self.truncation / math.sqrt(2)) for f in (math.erf, math.erfc))  # shares of all draws

        def pressed(value: float) -> float:
            tail = (outside + inside * math.erfc(abs(value) / math.sqrt(2))) / 2  # how many lie further out
            return math.copysign(NormalDist().inv_cdf(tail), value)

        values = np.array([pressed(value) for value in drawn.ravel().tolist()]).reshape(drawn.shape)
        return values.clip(-self.truncation, self.truncation).astype(drawn.dtype)  # rounding may cross the bounds


@STRATEGIES.register("antithetic")
class Antithetic(Strategy):
    """Pairs of seeds, 2k and 2k + 1, with the same noise of durations, and prior noise of opposite sign.

    An even seed sounds as by "prior". The halves of a pair are equally long, and over a pair the noise's mean
    is exactly zero: an average over both needs fewer sentences than one over independent seeds.
    """

    def drawn_seed(self, seed: int) -> int:
        """The even seed of the pair."""
        return seed - seed % 2

    def transform(self, drawn: np.ndarray, seed: int) -> np.ndarray:
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


def prior_draw(strategy: str, seed: int, channels: int, length: int, truncation: float = TRUNCATION) -> np.ndarray:
    """Noise of the prior, a multiple of its standard deviation: float32 [T, C], T the length; see `prior_noise`."""
    chosen = STRATEGIES.get(strategy)(truncation)
    seed = checked_seed(seed)
    return chosen.transform(_drawn(chosen.drawn_seed(seed), PRIOR, (length, channels)), seed)


def duration_draw(seed: int, n_tokens: int, strategy: str = "prior") -> np.ndarray:
    """Noise of the stochastic duration predictor: float32 [L, 2]; see `duration_noise`."""
    return _drawn(STRATEGIES.get(strategy)(TRUNCATION).drawn_seed(checked_seed(seed)), DURATIONS, (n_tokens, 2))


def _drawn(seed: int, stream: int, shape: tuple[int, int]) -> np.ndarray:
    """Standard normal, time first, so that a length only cuts."""
    return random_stream(seed, stream).standard_normal(shape, dtype=np.float32)


def candidate_seed(seed: int, index: int) -> int:
    """The seed of the candidate of that number; that of candidate 0 is the seed itself."""
    if index == 0:
        return checked_seed(seed)
    return int(random_stream(seed, CANDIDATES).integers(SEED_LIMIT, size=index, dtype=np.uint64)[-1])


def best_of(n: int, seed: int, make: Callable[[int], Result], score: Callable[[Result], float]) -> Result:
    """Best of n candidates by score, the first among equals; NaN counts as the lowest.

    The candidates of a smaller n are the first ones of a larger n, so more of them never score less.

    Args:
        n: how many, at least 1; a single one is made from `seed` itself, and is not scored.
        seed: what the candidates' seeds come from.
        make: builds a candidate from its seed.
        score: higher is better, e.g. `synthesis.rescoring.text_likelihood` of its sound.

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


def prior_noise(strategy: str, seeds: Sequence[int], channels: int, lengths: Sequence[int],
                truncation: float = TRUNCATION) -> Tensor:
    """Noise of the prior, a multiple of its standard deviation, before noise_scale.

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
    return _batch(lambda seed, length: prior_draw(strategy, seed, channels, length, truncation), seeds, lengths)


def duration_noise(seeds: Sequence[int], n_tokens: Sequence[int], strategy: str = "prior") -> Tensor:
    """Noise of the stochastic duration predictor: [B, 2, L] float32 on the CPU, zeros beyond each item's own.

    Standard normal under every strategy, since strategies are about the prior; pairs of "antithetic" share it.

    Raises:
        ValueError: as `prior_noise`.
    """
    return _batch(lambda seed, length: duration_draw(seed, length, strategy), seeds, n_tokens)


def _batch(draw: Callable[[int, int], np.ndarray], seeds: Sequence[int], lengths: Sequence[int]) -> Tensor:
    """Draws [length, channels] of each item, padded: [B, channels, greatest length]."""
    import torch

    if len(seeds) != len(lengths):
        raise ValueError(f"found {len(seeds)} seeds for {len(lengths)} items; expected one for each")
    items = [torch.from_numpy(draw(seed, length)) for seed, length in zip(seeds, lengths)]
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True).mT.contiguous()


class SeededNoise(NamedTuple):
    """The noise of a batch, a function of one seed for each item; what `SynthesizerTrn.infer` takes."""

    seeds: Sequence[int]
    strategy: str = "prior"  # a name in `STRATEGIES`

    def durations(self, n_tokens: Sequence[int]) -> Tensor:
        """Noise of the stochastic duration predictor, [B, 2, L], for that many tokens of each item."""
        return duration_noise(self.seeds, n_tokens, self.strategy)

    def prior(self, channels: int, lengths: Sequence[int]) -> Tensor:
        """Noise of the prior, [B, C, T], for that many frames of each item."""
        return prior_noise(self.strategy, self.seeds, channels, lengths)
