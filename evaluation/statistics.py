"""How sure a mean is: bootstrap intervals, and paired comparison of two voices on the same items.

    bootstrap(values)                      # Interval(value, low, high, count)
    compare(values_a, values_b).p_value    # the same items in both

Both are about the items: what other texts of the same kind would give. They say nothing of another training run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.scorecard import Interval

# Shapes: N items, R resamples.

SEED = 0
RESAMPLES = 10_000
LEVEL = 0.95
_EXACT = 14  # up to so many pairs all 2**N signs are tried


class Difference(NamedTuple):
    """A mean of a - b over paired items with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    p_value: float  # two-sided; chance of so large a mean if each item could as well have favoured the other
    count: int  # pairs


def bootstrap(values: Sequence[float], seed: int = SEED) -> Interval:
    """The mean of values [N] and its 95 % interval, values that are not finite left out.

    The interval is of the expanded percentile bootstrap (Hesterberg 2014): percentiles of resampled means, moved
    outwards as Student's t is from the normal, because plain percentiles are too narrow for few items. It never goes
    beyond the items themselves, so of five and fewer it holds the truth less often: half of the time of two. One item
    has no interval: its bounds are NaN, and so is everything of no items but the count.
    """
    kept = _finite(values)
    if not len(kept):
        return Interval(np.nan, np.nan, np.nan, 0)
    low, high = _bounds(kept, seed)
    return Interval(float(kept.mean()), low, high, len(kept))


def compare(a: Sequence[float], b: Sequence[float], seed: int = SEED) -> Difference:
    """The mean of a[i] - b[i] over items [N] with its interval (see `bootstrap`), and how likely chance makes it.

    The p-value is of a sign-flip permutation test: all signs for up to 14 pairs, else 10,000 drawn at random. Five
    pairs cannot give less than 0.0625, six not less than 0.031. Pairs with a value that is not finite are left out.

    Raises:
        ValueError: a and b are not of the same length.
    """
    if len(a) != len(b):
        raise ValueError(f"expected the same items in both, found {len(a)} and {len(b)}")
    differences = _finite(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    interval = bootstrap(differences, seed)
    return Difference(interval.value, interval.low, interval.high, _sign_flip(differences, seed), interval.count)


def _finite(values: Sequence[float]) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values)]


def _bounds(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Bounds of the mean of values [N]."""
    from scipy.stats import norm, t

    count = len(values)
    if count < 2:
        return np.nan, np.nan
    random = np.random.default_rng(seed)
    means = values[random.integers(0, count, (RESAMPLES, count))].mean(axis=1)  # [R]
    tail = norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - LEVEL) / 2, count - 1))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _sign_flip(differences: np.ndarray, seed: int) -> float:
    """Share of sign patterns that make the mean of differences [N] as far from zero as it is; NaN for none."""
    count = len(differences)
    if not count:
        return np.nan
    if count <= _EXACT:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1  # [2**N, N]
    else:
        patterns = np.random.default_rng(seed).integers(0, 2, (RESAMPLES, count), dtype=np.int8)
    sums = np.abs((2 * patterns - 1) @ differences)
    # Rounding must not lose the pattern that was observed, however much of the sum cancels.
    least = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    found = int(np.count_nonzero(sums >= least))
    if count <= _EXACT:
        return found / len(sums)
    return (found + 1) / (len(sums) + 1)  # the pattern that was observed counts among those drawn
