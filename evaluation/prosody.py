"""Prosody of a sound: pitch movement, articulation rate, pauses and noise floor.

    found = prosody_of(samples, 22050, syllables=syllables_of("A short sentence.", "en-us"))
    found.f0_sd                                   # semitones

DNSMOS and word errors hardly change where a voice is monotonous or runs its sentences together; these numbers do,
beside those of recordings of the same texts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

# Shapes: S samples, T frames of 10 ms, V voiced frames.

FRAME_SECONDS = 0.01
F0_RANGE = (60.0, 500.0)  # Hz
OCTAVE = 12  # semitones; frames further from the median are octave errors of the pitch search
SPEECH_PERCENTILE = 95  # of the frames' levels: the level of speech
PAUSE_DB = 30  # below the level of speech; quieter frames are silence
SHORTEST_PAUSE = 0.15  # seconds; shorter silences are closures of stops
FLOOR_PERCENTILE = 3  # of the frames' levels: the noise floor
LOWEST_DB = -120.0  # of digital silence

# A syllable is a vowel or diphthong, or a syllabic consonant (U+0329); a stress mark starts another one.
_SYLLABLE = re.compile("[aeiouyæɑɒɐəɚɜɝɛɪɔʊʌɨʉɯɤøœɶɵɘɞᵻ][aeiouyæɑɒɐəɚɜɝɛɪɔʊʌɨʉɯɤøœɶɵɘɞᵻːˑ\u0303]*|\u0329")


class Prosody(NamedTuple):
    """Prosody of one sound; NaN where it has too little speech or no syllables are given."""

    f0_sd: float  # semitones, standard deviation over voiced frames
    articulation: float  # syllables a second of speech without pauses
    pauses: float  # of SHORTEST_PAUSE and longer within the speech, per 10 seconds
    pause_length: float  # seconds, their mean; NaN without pauses
    noise_floor: float  # dB relative to the level of speech, at least -120


def prosody_of(samples: np.ndarray, sampling_rate: int, syllables: int = 0) -> Prosody:
    """Measure samples [S] that are finite and not constant; silence at the ends does not count.

    Raises:
        ImportError: pyworld is not installed.
    """
    size = round(FRAME_SECONDS * sampling_rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)  # [T, size]
    if not len(frames):
        return Prosody(*[np.nan] * 5)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 10 ** (LOWEST_DB / 10))  # [T]
    speech = np.percentile(level, SPEECH_PERCENTILE)
    loud = np.flatnonzero(level >= speech - PAUSE_DB)
    silent = level[loud[0] : loud[-1] + 1] < speech - PAUSE_DB  # within the speech
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    pauses = (edges[1::2] - edges[::2]) * FRAME_SECONDS  # seconds
    pauses = pauses[pauses >= SHORTEST_PAUSE - FRAME_SECONDS / 2]
    seconds = len(silent) * FRAME_SECONDS
    return Prosody(
        _f0_sd(samples, sampling_rate), syllables / (seconds - pauses.sum()) if syllables else np.nan,
        10 * len(pauses) / seconds, float(pauses.mean()) if len(pauses) else np.nan,
        float(np.percentile(level, FLOOR_PERCENTILE) - speech))


def syllables_of(text: str, language: str) -> int:
    """Count syllables by the vowels of espeak-ng's phonemes; 0 where espeak-ng lacks the language."""
    from text.espeak import phonemize

    try:
        [phonemes] = phonemize([text], language)
    except ValueError:
        return 0
    return len(_SYLLABLE.findall(phonemes))


def _f0_sd(samples: np.ndarray, sampling_rate: int) -> float:
    """Standard deviation of the pitch in semitones, without octave errors; NaN with fewer than two voiced frames."""
    import pyworld

    wav = np.ascontiguousarray(samples, np.float64)
    pitch, times = pyworld.dio(wav, sampling_rate, *F0_RANGE, frame_period=1000 * FRAME_SECONDS)
    pitch = pyworld.stonemask(wav, pitch, times, sampling_rate)
    voiced = pitch[pitch > 0]  # [V] Hz
    if len(voiced) < 2:
        return np.nan
    semitones = 12 * np.log2(voiced / np.median(voiced))
    return float(semitones[np.abs(semitones) <= OCTAVE].std())
