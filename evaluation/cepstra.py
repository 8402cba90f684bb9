"""Mel cepstra by WORLD's analysis, and alignment of the frames of two sounds.

    ours, theirs = analyse(samples, 16000), analyse(recording, 16000)
    i, j = align(ours.cepstra, theirs.cepstra)
    decibels = DECIBELS * np.linalg.norm(ours.cepstra[i, 1:] - theirs.cepstra[j, 1:], axis=1)
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Shapes: S samples, T frames, F FFT bins, C cepstral coefficients, N pairs of frames.

FRAME_SECONDS = 0.005  # of WORLD's analysis
ORDER = 24  # of the mel cepstra
DECIBELS = 10 * np.sqrt(2) / np.log(10)  # of a distance between cepstra of natural logarithms
FLOOR_DB = 80  # below the loudest bin; quieter bins are raised to it, since the logarithm of silence is unbounded


class Analysis(NamedTuple):
    """Pitch and mel cepstra of a sound, per frame of 5 ms."""

    pitch: np.ndarray  # [T] Hz, 0 where unvoiced
    cepstra: np.ndarray  # [T, C]


def analyse(samples: np.ndarray, sampling_rate: int) -> Analysis:
    """Analyse samples [S] that are not silent."""
    import pyworld

    wav = np.ascontiguousarray(samples, np.float64)
    pitch, times = pyworld.dio(wav, sampling_rate, frame_period=1000 * FRAME_SECONDS)
    pitch = pyworld.stonemask(wav, pitch, times, sampling_rate)
    power = pyworld.cheaptrick(wav, pitch, times, sampling_rate)  # [T, F]
    power = np.maximum(power, power.max() * 10 ** (-FLOOR_DB / 10))
    return Analysis(pitch, mel_cepstra(power, mel_alpha(sampling_rate)))


def align(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Align cepstra a [T, C] and b [T', C] by time warping without c0 (loudness): indices of frames, [N] each."""
    from librosa.sequence import dtw

    _, path = dtw(a[:, 1:].T, b[:, 1:].T, metric="euclidean")
    return path[::-1, 0], path[::-1, 1]


def mel_cepstra(power: np.ndarray, alpha: float, order: int = ORDER) -> np.ndarray:
    """Mel cepstra [T, order + 1] of power spectra [T, F], such that ln |H(w)| is the sum of c[m] cos(m w~).

    w~ is the frequency warped by an all-pass of coefficient alpha. The cepstrum of the whole spectrum is transformed
    by the recursion of Oppenheim and Johnson (1972), as SPTK's freqt is.
    """
    cepstrum = np.fft.irfft(np.log(power))[:, :power.shape[1]].T  # [F, T]
    cepstrum[0] /= 2  # ln |H|^2 = c0 + 2 (c1 cos w + ...), of which half is wanted
    warped = np.zeros((order + 1, len(power)))
    for coefficient in cepstrum[::-1]:
        last = warped
        warped = np.empty_like(last)
        warped[0] = coefficient + alpha * last[0]
        warped[1] = (1 - alpha**2) * last[0] + alpha * last[1]
        for m in range(2, order + 1):
            warped[m] = last[m - 1] + alpha * (last[m] - warped[m - 1])
    return warped.T


@lru_cache(maxsize=32)
def mel_alpha(sampling_rate: int) -> float:
    """The all-pass coefficient whose warping is nearest to the mel scale: 0.41 at 16 kHz, 0.455 at 22.05 kHz."""
    angle = np.linspace(0, np.pi, 1000)
    mel = np.log1p(angle / np.pi * sampling_rate / 2 / 1000)
    alphas = np.arange(0, 1, 0.001)[:, None]
    warped = angle + 2 * np.arctan2(alphas * np.sin(angle), 1 - alphas * np.cos(angle))
    error = np.square(warped / np.pi - mel / mel[-1]).mean(axis=1)
    return float(alphas[error.argmin(), 0])
