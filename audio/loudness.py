"""Loudness by ITU-R BS.1770."""

from __future__ import annotations

import math
import warnings

import numpy as np

from utils import import_package

PEAK = 0.99  # the highest that a change of loudness goes; some players clip just below 1
_BLOCK_SECONDS = 0.4  # what loudness is measured over (ITU-R BS.1770)


def at_loudness(samples: np.ndarray, sample_rate: int, target_lufs: float = -23.0, peak: float = PEAK) -> np.ndarray:
    """Scale [S] samples to a target loudness by ITU-R BS.1770; silence stays silence.

    The gain is smaller, with a warning, where the result would peak above `peak`. What is shorter than the 0.4 s that
    the measure needs is measured as if it were repeated.

    Raises:
        ValueError: pyloudnorm is not installed.
    """
    loudness = _loudness(samples, sample_rate)
    if loudness is None:
        return samples
    gain = 10 ** ((target_lufs - loudness) / 20)
    highest = peak / float(np.abs(samples).max())
    if gain > highest:
        warnings.warn(f"{target_lufs:g} LUFS would peak at {peak * gain / highest:.2f}; made "
                      f"{loudness + 20 * math.log10(highest):.1f} LUFS, so that nothing clips", stacklevel=2)
    return (samples * min(gain, highest)).astype(np.float32)


def _loudness(samples: np.ndarray, sample_rate: int) -> float | None:
    """LUFS; None for silence."""
    meter = import_package("pyloudnorm", otherwise="leave the loudness as it is").Meter
    if not np.any(samples):
        return None
    least = math.ceil(_BLOCK_SECONDS * sample_rate) + 1
    if len(samples) < least:
        samples = np.tile(samples, math.ceil(least / len(samples)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it takes logarithms of blocks of silence
        loudness = float(meter(sample_rate).integrated_loudness(samples.astype(np.float64)))
    return loudness if math.isfinite(loudness) else None
