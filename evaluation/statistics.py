"""Confidence of means: bootstrap intervals, and a paired permutation test of two voices on the same items.

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
_DIGITS = 9  # of a mean relative to the largest difference; sums that differ by rounding alone count as equal


class Difference(NamedTuple):
    """A mean of a - b over paired items with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    p_value: float  # two-sided, of the null hypothesis that each difference could as well have the other sign
    count: int  # pairs


def bootstrap(values: Sequence[float], seed: int = SEED) -> Interval:
    """Compute the mean of values [N] and its 95 % interval; values that are not finite are left out.

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
    """Compare paired items [N]: the mean of a[i] - b[i] with its interval (see `bootstrap`) and its p-value.

    The p-value is of a two-sided sign-flip permutation test: all signs for up to 13 pairs, else 10,000 drawn at random.
    Five pairs cannot give less than 0.0625, six not less than 0.031. Pairs with NaN or infinity are left out.

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
    """Bounds of the mean of values [N], N at least 1."""
    from scipy import stats

    count = len(values)
    if count < 2:
        return np.nan, np.nan
    tail = stats.norm.cdf(np.sqrt(count / (count - 1)) * stats.t.ppf((1 - LEVEL) / 2, count - 1))
    found = stats.bootstrap((values,), np.mean, confidence_level=1 - 2 * tail, n_resamples=RESAMPLES,
                            method="percentile", rng=np.random.default_rng(seed))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _sign_flip(differences: np.ndarray, seed: int) -> float:
    """The p-value of the mean of differences [N] under changes of their signs; NaN for none."""
    from scipy import stats

    if len(differences) < 2:
        return 1.0 if len(differences) else np.nan
    scaled = differences / (np.abs(differences).max() or 1.0)
    found = stats.permutation_test((scaled,), lambda signed, axis: signed.mean(axis=axis).round(_DIGITS),
                                   permutation_type="samples", vectorized=True, n_resamples=RESAMPLES,
                                   rng=np.random.default_rng(seed))
    return float(found.pvalue)
