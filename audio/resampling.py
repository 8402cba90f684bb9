"""Change of sampling rate, of whole sounds and of streams, and trimming of silence.

Shapes: S samples, N frames, K taps.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

# Odd rates (22049 Hz) would need a filter of gigabytes; the nearest handy ratio is off by half a cent at most.
RESAMPLING_RATIO_LIMIT = 2048
_BLOCK = 1 << 18  # samples at a time
_SINC_ZEROS, _SINC_ROLLOFF, _SINC_BETA = 64, 0.9475937167399596, 14.769656459379492


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sampling rate of [S] samples, float32, by a Kaiser-windowed sinc filter (Smith 2002).

    The filter's numbers are torchaudio's "kaiser_best"; the output has ceil(S * to_hz / from_hz) samples.
    """
    samples = np.asarray(samples, np.float32)
    ratio = Fraction(to_hz, from_hz).limit_denominator(RESAMPLING_RATIO_LIMIT)
    if ratio == 1:
        return samples
    step, made, reach, filters = _resampling_filters(ratio)
    padded = np.pad(samples.astype(np.float64), (reach, reach + step))
    frames = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[0])[::step]  # [N, K]
    block = max(1, _BLOCK // filters.shape[0])  # the frames overlap, so that all at once would take many times S
    # In float64, so that the order in which a matrix product adds, which varies with threads, rounds away.
    parts = [(frames[start:start + block] @ filters).astype(np.float32) for start in range(0, len(frames), block)]
    length = math.ceil(len(samples) * ratio)
    return np.concatenate(parts).reshape(-1)[:length]


@functools.lru_cache(maxsize=8)
def _resampling_filters(ratio: Fraction) -> tuple[int, int, int, np.ndarray]:
    """One matrix product: (samples in, samples out, samples needed before and after, filters [K, samples out])."""
    repeats = max(1, 256 // ratio.denominator)  # a product of small matrices would be slow
    step, made = ratio.denominator * repeats, ratio.numerator * repeats
    cutoff = min(1.0, float(ratio)) * _SINC_ROLLOFF  # of the old Nyquist frequency
    reach = math.ceil(_SINC_ZEROS / cutoff)
    time = np.arange(-reach, step + reach)[:, None] - np.arange(made) / float(ratio)  # [K, made], old samples
    time = np.clip(time * cutoff, -_SINC_ZEROS, _SINC_ZEROS)
    window = np.i0(_SINC_BETA * np.sqrt(1 - (time / _SINC_ZEROS) ** 2)) / np.i0(_SINC_BETA)
    return step, made, reach, cutoff * np.sinc(time) * window


def trim_silence(samples: np.ndarray, rate: int, trim_db: float, margin: float) -> np.ndarray:
    """Cut what is `trim_db` below the loudest 10 ms from both ends of [S] samples, but `margin` seconds of it."""
    hop = max(1, rate // 100)
    padded = np.pad(samples - samples.mean(), (0, -len(samples) % hop))
    energy = np.square(padded.reshape(-1, hop)).mean(axis=1)  # of each 10 ms
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-trim_db / 10))
    kept = round(margin * rate)
    return samples[max(0, loud[0] * hop - kept):(loud[-1] + 1) * hop + kept] if len(loud) else samples


def at_rate(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample [S] to exactly S * to_hz / from_hz samples, rounded, as `Timings.scaled` rounds."""
    samples = np.asarray(samples, np.float32)
    length = _resampled_length(len(samples), from_hz, to_hz)
    if from_hz == to_hz or length == 0:
        return samples[:length]
    resampled = resample(samples, from_hz, to_hz)[:length]
    return np.pad(resampled, (0, length - len(resampled)))  # where the ratio of the rates has to be simplified


class StreamResampler:
    """Resampler of a stream: its outputs, joined, equal `at_rate` of its inputs, joined."""

    def __init__(self, from_hz: int, to_hz: int):
        ratio = Fraction(to_hz, from_hz).limit_denominator(RESAMPLING_RATIO_LIMIT)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._step, self._made = ratio.denominator, ratio.numerator  # so many samples become so many, with none over
        reach = 70 * max(1, from_hz / to_hz)  # samples to each side that the filter of `resample` looks at
        self._context = self._step * math.ceil(reach / self._step)
        self._held = np.zeros(0, np.float32)
        self._done = 0  # of those held; kept as context, a multiple of `_step`
        self._taken = self._given = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Add [S] samples; the resampled ones that no later sample can change, possibly none."""
        self._held = np.concatenate([self._held, np.asarray(samples, np.float32)])
        self._taken += len(samples)
        settled = (len(self._held) - self._context) // self._step * self._step
        if settled <= self._done:
            return np.zeros(0, np.float32)
        resampled = resample(self._held, self.from_hz, self.to_hz)
        piece = resampled[self._done // self._step * self._made:settled // self._step * self._made]
        dropped = max(0, settled - self._context)
        self._held, self._done = self._held[dropped:], settled - dropped
        self._given += len(piece)
        return piece

    def finish(self) -> np.ndarray:
        """The remaining samples, at the end of the stream."""
        missing = max(0, _resampled_length(self._taken, self.from_hz, self.to_hz) - self._given)
        if not missing:
            return np.zeros(0, np.float32)
        rest = resample(self._held, self.from_hz, self.to_hz)[self._done // self._step * self._made:][:missing]
        self._given += missing
        return np.pad(rest, (0, missing - len(rest)))


def _resampled_length(length: int, from_hz: int, to_hz: int) -> int:
    return (length * to_hz + from_hz // 2) // from_hz
