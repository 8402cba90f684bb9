"""Pitch shift by PSOLA: higher or lower, as long as before, with the same formants.

Shapes: S samples, N frames, P periods.
"""

from __future__ import annotations

import math

import numpy as np

MAX_SEMITONES = 12.0
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0  # voices
_FRAME_SECONDS = 0.005
_APERIODICITY = 0.45  # YIN's measure, up to which a frame counts as voiced
_QUIETEST = 1e-4  # of the loudest frame's power; less is not voiced
_FRAMES_AT_ONCE = 512
_MARGIN = 8  # samples beside a period, for what moving it by part of a sample smears


def pitch_shifted(samples: np.ndarray, sample_rate: int, semitones: float) -> np.ndarray:
    """Shift the pitch of [S] samples; duration and formants stay.

    By PSOLA (Moulines and Charpentier 1990): where the sound is voiced, its periods are laid closer together or further
    apart; elsewhere it is left alone, and so it is by 0 semitones.

    Raises:
        ValueError: more than an octave, or no number.
    """
    if not abs(semitones) <= MAX_SEMITONES:
        raise ValueError(f"the pitch shift is {semitones} semitones; expected -{MAX_SEMITONES:g} to {MAX_SEMITONES:g}")
    if semitones == 0 or len(samples) == 0:
        return samples
    ratio = 2 ** (semitones / 12)
    wave = np.asarray(samples, np.float64)
    shifted = wave.copy()
    for marks in _period_marks(wave, sample_rate):
        part = slice(marks[0], marks[-1])
        voiced = _laid_anew(wave, marks, ratio)
        voiced *= math.sqrt((wave[part] ** 2).sum() / max((voiced ** 2).sum(), 1e-12))  # more periods are no louder
        fade = np.ones(len(voiced))  # over the first period and the last
        first, last = marks[1] - marks[0], marks[-1] - marks[-2]
        fade[:first] = _rise(first)
        fade[-last:] *= _rise(last)[::-1]
        shifted[part] += fade * (voiced - wave[part])
    return shifted.clip(-1, 1).astype(np.float32)


def _laid_anew(wave: np.ndarray, marks: np.ndarray, ratio: float) -> np.ndarray:
    """Overlap-add of the sound's periods from first mark to last, at `ratio` times their rate."""
    lengths = np.diff(marks)  # [P - 1]
    middles = (marks[1:] + marks[:-1]) / 2
    laid = np.zeros(marks[-1] - marks[0])
    place = 0.0  # from the first mark
    while place < len(laid):
        nearest = int(np.searchsorted(middles, marks[0] + place))
        left, right = lengths[max(nearest - 1, 0)], lengths[min(nearest, len(lengths) - 1)]
        if left <= marks[nearest] <= len(wave) - right:
            period = wave[marks[nearest] - left:marks[nearest] + right] * np.concatenate(
                [_rise(left), _rise(right)[::-1]])
            period = _delayed(np.pad(period, _MARGIN), place % 1)
            start = int(place) - left - _MARGIN
            low, high = max(start, 0), min(start + len(period), len(laid))
            laid[low:high] += period[low - start:high - start]
        place += (left + right) / 2 / ratio
    return laid


def _rise(length: int) -> np.ndarray:
    """The rising half of a Hann window, [length]; with its mirror image it adds up to 1."""
    return np.sin(np.pi / 2 * (np.arange(length) + 0.5) / length) ** 2


def _delayed(samples: np.ndarray, fraction: float) -> np.ndarray:
    """Delay by a fraction of a sample, without which the new periods jitter and the voice sounds hoarse."""
    turn = np.exp(-2j * np.pi * fraction * np.fft.rfftfreq(len(samples)))
    return np.fft.irfft(np.fft.rfft(samples) * turn, len(samples))


def _period_marks(wave: np.ndarray, sample_rate: int) -> list[np.ndarray]:
    """Pitch marks, one sample in each period at the same phase: an array for each voiced stretch."""
    hop = max(1, round(_FRAME_SECONDS * sample_rate))
    periods = _periods(wave, hop, sample_rate)
    stretches = []
    for start, end in np.flatnonzero(np.diff(np.pad(periods > 0, 1).astype(int))).reshape(-1, 2) * hop:
        end = min(end, len(wave))
        if end <= start:
            continue
        loudest = start + int(np.argmax(np.abs(wave[start:end])))
        marks = [loudest]
        for direction in (1, -1):
            mark = loudest
            while (found := _next_mark(wave, mark, direction * periods[mark // hop])) is not None \
                    and start <= found < end:
                mark = found
                marks.append(mark)
        if len(marks) >= 4:
            stretches.append(np.sort(marks))
    return stretches


def _next_mark(wave: np.ndarray, mark: int, step: int) -> int | None:
    """The mark about `step` samples on, by cross-correlation; None at either end of the sound."""
    period = abs(step)
    slack = period // 5
    start, end = mark + step - slack - period, mark + step + slack + period
    if min(start, mark - period) < 0 or max(end, mark + period) > len(wave):
        return None
    around = wave[start:end]
    power = np.correlate(around ** 2, np.ones(2 * period), "valid")
    likeness = np.correlate(around, wave[mark - period:mark + period], "valid") / np.sqrt(power + 1e-9)
    return mark + step - slack + int(np.argmax(likeness))


def _periods(wave: np.ndarray, hop: int, sample_rate: int) -> np.ndarray:
    """Samples a period in every frame, int [N], 0 where it is not voiced; by YIN (de Cheveigné and Kawahara 2002)."""
    longest, shortest = int(sample_rate / _LOWEST_HZ), int(sample_rate / _HIGHEST_HZ)
    padded = np.pad(wave, (longest, longest + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * longest)[::hop]  # [N, 2 * longest], a view
    periods, power = np.zeros(len(frames), int), np.zeros(len(frames))
    for i in range(0, len(frames), _FRAMES_AT_ONCE):
        block = slice(i, i + _FRAMES_AT_ONCE)
        difference, power[block] = _differences(frames[block], longest)
        inner = difference[:, shortest:longest]
        is_dip = (inner < difference[:, shortest - 1:longest - 1]) & (inner <= difference[:, shortest + 1:longest + 1])
        depth = np.where(is_dip, inner, 1.0)
        deepest = depth.min(axis=1, keepdims=True)
        first = shortest + np.argmax(depth <= np.maximum(deepest + 0.02, 0.1), axis=1)  # not its double or treble
        periods[block] = np.where(deepest[:, 0] < _APERIODICITY, first, 0)
    periods[power < _QUIETEST * power.max()] = 0
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(periods, 2), 5)
    return np.median(neighbours, axis=1).astype(int)  # a lone frame is mistaken


def _differences(frames: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """YIN's normalised difference function (equation 8) of each frame, [N, longest + 1], and its power, [N]."""
    size = frames.shape[1]
    spectrum, head = np.fft.rfft(frames, size), np.fft.rfft(frames[:, :longest], size)
    product = np.fft.irfft(spectrum * head.conj(), size)[:, :longest + 1]
    energy = np.pad(np.cumsum(frames ** 2, axis=1), ((0, 0), (1, 0)))
    energy = energy[:, longest:] - energy[:, :longest + 1]  # of `longest` samples from each lag on
    squares = np.maximum(energy[:, :1] + energy - 2 * product, 0)[:, 1:]
    relative = squares * np.arange(1, longest + 1) / np.maximum(np.cumsum(squares, axis=1), 1e-12)
    return np.pad(relative, ((0, 0), (1, 0)), constant_values=1), energy[:, 0]
